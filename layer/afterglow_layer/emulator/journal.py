"""Everything the emulator saw and did, in order, with clocks; and a way to wait for it.

In: notes from any thread. Out: ``events``, and ``wait_for`` for tests that wait for events and never guess a
sleep.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Seen(NamedTuple):
    """One thing that happened. ``kind`` and ``detail`` are listed in docs/emulator.md."""

    at_mono_ns: int  # CLOCK_MONOTONIC, which runs on while the sandbox is frozen
    at_epoch_ms: float
    kind: str  # api.extension-next, reply.extension-next, process.exit, freeze, telemetry.batch, …
    who: str  # runtime, platform or the extension's name
    detail: Mapping[str, Any]

    def __str__(self) -> str:
        facts = " ".join(f"{key}={value!r:.160}" for key, value in self.detail.items())
        return f"{self.at_mono_ns / 1e6:.1f} ms  {self.kind}  {self.who}  {facts}"


class NeverSeen(AssertionError):  # noqa: N818 - what a test reads is that it was never seen
    """``wait_for`` ran out of time; the message ends with the last things that did happen."""


class Journal:
    """An append-only list that any thread may write and wait on."""

    def __init__(self) -> None:
        self._seen: list[Seen] = []
        self._grown = threading.Condition()
        self._listeners: list[Callable[[Seen], None]] = []

    def listen(self, hear: Callable[[Seen], None]) -> None:
        """Call ``hear`` with every later event, in the thread that notes it."""
        self._listeners.append(hear)

    def note(self, kind: str, who: str, **detail: Any) -> Seen:
        """Write down one event, now, and wake whoever waits for it."""
        with self._grown:
            seen = Seen(time.monotonic_ns(), time.time() * 1000, kind, who, detail)
            self._seen.append(seen)
            self._grown.notify_all()
        for hear in self._listeners:
            hear(seen)
        return seen

    @property
    def events(self) -> tuple[Seen, ...]:
        """All events so far, oldest first."""
        with self._grown:
            return tuple(self._seen)

    def wait_for(self, wanted: Callable[[Seen], bool], *, timeout_s: float = 15.0, after: Seen | None = None) -> Seen:
        """Return the first event, past or future, that ``wanted`` accepts; if given, one later than ``after``."""
        deadline = time.monotonic() + timeout_s
        looked_at = 0 if after is None else self.events.index(after) + 1
        with self._grown:
            while True:
                for seen in self._seen[looked_at:]:
                    if wanted(seen):
                        return seen
                looked_at = len(self._seen)
                if not self._grown.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    raise NeverSeen(self._complaint(timeout_s))

    def _complaint(self, timeout_s: float) -> str:
        last = "\n  ".join(str(seen) for seen in self._seen[-25:])
        return f"not seen within {timeout_s} s; the last of {len(self._seen)} events:\n  {last}"
