"""When ``/next`` is called. In: Lambda's answer to the last one. Out: the event, and the next call at once or held.

At once, but for AFTERGLOW_FLUSH=end: then it waits until the records are out, since the environment may freeze
as soon as everybody has called.
"""

import json
from typing import Any

from afterglow.lifecycle import Event
from afterglow.parts import Parts
from afterglow.runtime_api import ApiError


def receive(parts: Parts) -> dict[str, Any] | None:
    """Return the event, if the answer is complete; ApiError for an answer that is no event."""
    parts.api.read_once()
    answer = parts.api.take()
    if answer is None:
        return None
    if answer.status != 200:
        raise ApiError(f"/next was answered {answer.status}: {answer.body[:200]!r}")
    event: dict[str, Any] = json.loads(answer.body)
    return event


def call_or_hold(parts: Parts, request_id: str) -> None:
    """Call ``/next``, unless records are to be out before the environment may freeze."""
    if parts.settings.flush == "end":
        if parts.recorder.has_returned(request_id):  # nobody would release it any more
            parts.next_held = True
            tell_before_the_freeze(parts)
            return
        parts.next_held = parts.recorder.hello is not None and not parts.hook_gone
    if not parts.next_held:
        parts.api.send_next()


def is_shutdown(event: dict[str, Any]) -> bool:
    """Return whether there is no next event to call for."""
    return event.get("eventType") == Event.SHUTDOWN


def tell_before_the_freeze(parts: Parts) -> None:
    """Put the records out, and let the environment freeze.

    Not Init's, which can have the platform's figures a little later: it is one, and SHUTDOWN would bring it out.
    """
    before = parts.recorder.count + 1
    parts.teller.invocations(parts.recorder, before=before, init_patient=parts.platform_reports())
    parts.teller.flush(final=True)
    release(parts)


def release(parts: Parts) -> None:
    """Call ``/next`` if it is held."""
    if parts.next_held:
        parts.next_held = False
        parts.api.send_next()


def lose_hook(parts: Parts) -> None:
    """Nobody will say any more that a handler has returned."""
    parts.hook_gone = parts.gets_invokes
    release(parts)
