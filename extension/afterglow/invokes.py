"""An invocation begins. In: Lambda's INVOKE. Out: the recorder's and the sampler's new invocation, the last one told.

The hook's ``entered`` can come first; whichever is second finds the invocation begun.
"""

from typing import Any

from afterglow import deadlines, lifecycle, ticks
from afterglow.lifecycle import Event
from afterglow.parts import Parts, new_name
from afterglow.running import Running
from afterglow.teller import agent_cpu_ms


def take_note(parts: Parts, event: dict[str, Any]) -> None:
    """Note what only INVOKE tells, before facts that have overtaken it are told without."""
    if event.get("eventType") == Event.INVOKE:
        be_oneself(parts)
        parts.recorder.invited(str(event.get("requestId")), sampled_trace(event.get("tracing")))


def be_oneself(parts: Parts) -> None:
    """Take a new name after SnapStart's restore: what was drawn before the snapshot, all of its copies have.

    A collector would take the batches of one for those of another, sent again.
    """
    if parts.is_copied:
        parts.is_copied = False
        parts.rename(new_name())


def on_invoke(parts: Parts, event: dict[str, Any], woke_ns: int) -> None:
    """Begin the invocation, and tell those before it."""
    request_id = str(event.get("requestId"))
    if parts.recorder.has_told(request_id):
        return
    running = parts.recorder.begin(request_id, woke_ns, agent_cpu_ms())
    parts.lingering.began(running.request_id, running.index, running.invoked_ns, trace=running.trace)
    if running.returned is None:  # the hook's facts can overtake INVOKE
        begin(parts, running)
        deadlines.set_deadline(parts, event.get("deadlineMs"))
    parts.teller.invocations(parts.recorder, before=running.index, patient=parts.platform_reports())
    parts.teller.flush()
    if running.index > 1:  # where every freeze comes at once, there is no quieter moment
        ticks.tell_footprint(parts)


def begin(parts: Parts, running: Running) -> None:
    """Look at what runs now."""
    parts.state = lifecycle.advance(parts.state, Event.INVOKE)
    parts.current = running
    parts.sampler.start()
    parts.wait_ms = parts.sampler.interval_ms


def sampled_trace(tracing: object) -> str | None:
    """Return INVOKE's X-Ray trace header if the trace is sampled."""
    value = tracing.get("value") if isinstance(tracing, dict) else None
    return value if isinstance(value, str) and "Sampled=1" in value else None
