"""The extension's loop: one thread, one ``poll``. In: Lambda's events, the hook's facts, telemetry. Out: records.

The order in a turn matters. First the clock (a gap means that we were frozen), then Lambda's event, which is
answered with the next ``/next`` before anything else happens, then the facts, and only then the rest.
"""

import json
import time
from typing import Any

from afterglow import deadlines, next_call, ticks
from afterglow.boot import Handoff, say
from afterglow.hearing import read_facts
from afterglow.invokes import on_invoke, take_note
from afterglow.lifecycle import Event, State
from afterglow.overheard import read_telemetry
from afterglow.parts import Parts
from afterglow.settings import Settings


class Agent:
    """One execution environment, from register to SHUTDOWN."""

    def __init__(self, handoff: Handoff, settings: Settings, environ: dict[str, str]) -> None:
        self.parts = Parts(handoff, settings, environ)
        self.parts.init_limits_s = deadlines.init_limits_s(environ)
        deadlines.expect_init(self.parts, handoff.registered_mono_ns)

    def run(self) -> None:
        """Turn until SHUTDOWN."""
        self.parts.poller.watch_work()
        early = [(json.loads(body), at_ns) for body, at_ns in self.parts.early]
        for event, _ in early:
            take_note(self.parts, event)
        for event, at_ns in early:
            read_facts(self.parts)
            self._on_event(event, at_ns)
        while self.parts.state != State.DONE:
            self._turn()

    def close(self) -> None:
        """Hang up on the hook: should the bare loop have to go on, it must not talk to nobody."""
        self.parts.poller.close()
        self.parts.inbox.close()

    def _turn(self) -> None:
        parts = self.parts
        ready = parts.wait(self._timeout_ms())
        woke_ns = parts.poller.last.mono_ns
        if ready:
            self._take_in(ready, woke_ns)
        if deadlines.are_due(parts, woke_ns):
            next_call.release(parts)  # before the deadline, or a slow function would be ours to answer for
            deadlines.ask(parts, woke_ns)
        if not ready:
            ticks.on_tick(parts)
        parts.teller.ship(may_start=parts.state == State.RUNNING)
        if parts.settings.flush == "interval" and woke_ns >= parts.flush_due_ns:
            self._flush_interval(woke_ns)

    def _take_in(self, ready: set[int], woke_ns: int) -> None:
        event = self._receive() if self.parts.api.sock.fileno() in ready else None
        read_facts(self.parts, ready)
        read_telemetry(self.parts, ready)
        if event is not None:
            self._on_event(event, woke_ns)

    def _timeout_ms(self) -> float:
        parts = self.parts
        flush_due_ns = parts.flush_due_ns if parts.settings.flush == "interval" else None
        due_ns = [due for due in (parts.stacks_due_ns, flush_due_ns) if due is not None]
        now_ns = time.monotonic_ns()
        return min([parts.wait_ms, *(max(0.0, (due - now_ns) / 1e6) for due in due_ns)])

    def _receive(self) -> dict[str, Any] | None:
        """Return Lambda's event, the next one being asked for already."""
        event = next_call.receive(self.parts)
        if event is not None and not next_call.is_shutdown(event):
            take_note(self.parts, event)
            if self.parts.settings.flush == "end":
                read_facts(self.parts)
            next_call.call_or_hold(self.parts, str(event.get("requestId")))
        return event

    def _flush_interval(self, now_ns: int) -> None:
        parts = self.parts
        parts.flush_due_ns = now_ns + parts.settings.flush_seconds * 1_000_000_000
        if parts.is_copied:
            return  # each copy tells for itself
        parts.teller.invocations(parts.recorder, before=parts.recorder.count + 1, patient=parts.platform_reports())
        parts.teller.flush(final=True)

    def _on_event(self, event: dict[str, Any], woke_ns: int) -> None:
        kind = event.get("eventType")
        if kind == Event.INVOKE:
            on_invoke(self.parts, event, woke_ns)
        elif kind == Event.SHUTDOWN:
            from afterglow import farewell  # noqa: PLC0415 - not before it is needed: not within the first answer

            farewell.on_shutdown(self.parts, str(event.get("shutdownReason")), woke_ns, event.get("deadlineMs"))
            farewell.ship_the_rest(self.parts, event.get("deadlineMs"))
        else:
            self.parts.teller.lose("event", f"unknown: {str(kind)[:40]}")


def announce(complaints: list[str]) -> None:
    """Say what is wrong with the settings, a line each."""
    for complaint in complaints:
        say(complaint)
