"""Waiting, and noticing what the wait was. In: descriptors and a timeout. Out: what is ready, and frozen time.

The one place that sleeps. What neither the timeout, nor our CPU, nor starving for a CPU explains was a freeze
(docs/decisions/0007-frozen-time.md). While we work, an alarm looks at the clocks every few ms: one that came due in
a freeze goes off at the thaw, and so tells the moment of it, however long the work goes on.
"""

import _signal  # type: ignore[import-not-found]  # what ``signal`` wraps, without its enums (3 ms)
import select
import time
from collections.abc import Iterable, Mapping

from afterglow.clocks import Checkpoint, Clocks
from afterglow.freeze import SLACK_NS, FrozenTime, window_at_work, window_of

NOTHING: Mapping[int, int] = {}
SLOWEST_DISK_NS = 100_000_000
ALARM_S = 0.005
MOST_MARKS = 256
BRIEF_NS = 1_000_000
"""No freeze fits into so little since the clocks were read; all but one may stand where they stood, as they have gone
on by no more. Spares a turn four system calls."""


class Poller:
    """Polls, and keeps ``frozen`` up to date."""

    def __init__(self, since_ns: int, cpu_ns: int, clocks: Clocks | None = None) -> None:
        self.clocks = clocks or Clocks()
        self.frozen = FrozenTime()
        self.last = Checkpoint(since_ns, cpu_ns, 0)
        self.marks: list[Checkpoint] = []
        self.alarmed = False
        self._poll = select.poll()
        self._wanted: Mapping[int, int] = {}

    def adopt(self, raw: list[tuple[int, int, bytes]]) -> None:
        """Look back at the clocks that boot has taken down while it imported us.

        What our quota held back is not among them: from each to the next, one of its periods may have been throttled.
        """
        throttled = self.clocks.read().throttled
        run_delay_ns = 0
        for left, (mono_ns, cpu_ns, schedstat) in zip(range(len(raw), 0, -1), raw, strict=True):
            words = schedstat.split()
            run_delay_ns = int(words[1]) if len(words) > 1 and words[1].isdigit() else run_delay_ns
            then = throttled._replace(periods=throttled.periods - left)
            self.marks.append(Checkpoint(mono_ns, cpu_ns, run_delay_ns, then))
        self.last = self.last._replace(throttled=throttled._replace(periods=throttled.periods - len(raw) - 1))
        self.look_back()

    def watch_work(self) -> None:
        """Look at the clocks while we work, too; for the main thread of a process whose SIGALRM is ours."""
        _signal.signal(_signal.SIGALRM, self._mark)
        _signal.siginterrupt(_signal.SIGALRM, False)
        self.alarmed = True
        self._set_alarm(ALARM_S)

    def close(self) -> None:
        """Let the alarm be: whatever this process does from now on, it is not for us to look at."""
        self._set_alarm(0)
        self.alarmed = False

    def _mark(self, *_: object) -> None:
        """Take the clocks down for ``look_back``: whatever the alarm interrupts must not find anything changed."""
        self.marks.append(self.clocks.read())
        if len(self.marks) > MOST_MARKS:
            del self.marks[::2]

    def _set_alarm(self, every_s: float) -> None:
        if self.alarmed:
            _signal.setitimer(_signal.ITIMER_REAL, every_s, every_s)

    def wait(self, descriptors: Iterable[int], timeout_ms: float, masks: Mapping[int, int] = NOTHING) -> set[int]:
        """Wait for input until ``timeout_ms`` have passed; return the descriptors that have some.

        ``masks`` are further descriptors with the events that they wait for.
        """
        self._watch({**dict.fromkeys(descriptors, select.POLLIN), **masks})
        self._set_alarm(0)
        slept = self.look_back()
        ready = {descriptor for descriptor, _ in self._poll.poll(timeout_ms)}
        woke = self.last = self.clocks.read()
        self._set_alarm(ALARM_S)
        asked_ns = int(timeout_ms * 1e6)
        if woke.mono_ns - slept.mono_ns - asked_ns >= SLACK_NS:  # else in time, whatever we had to wait for
            self.frozen.add(window_of(slept.mono_ns, asked_ns, woke.mono_ns, self.clocks.starved(slept, woke)))
        return ready

    def _watch(self, wanted: Mapping[int, int]) -> None:
        """Tell the kernel's poll what is wanted now, as far as that has changed."""
        if wanted == self._wanted:
            return
        for descriptor in self._wanted:
            if descriptor >= 0:
                self._poll.unregister(descriptor)
        for descriptor, mask in wanted.items():
            if descriptor >= 0:  # closed: the Runtime API ended the connection, and /next is not called for yet
                self._poll.register(descriptor, mask)
        self._wanted = wanted

    def forgive(self) -> None:
        """Take the time since the last checkpoint for a wait for the disk, unless no disk is as slow."""
        now = self.clocks.read()
        if now.mono_ns - self.last.mono_ns < SLOWEST_DISK_NS:
            self.last, self.marks = now, []

    def look_back(self) -> Checkpoint:
        """Note a freeze that came over us at work since the last checkpoint."""
        now_ns = time.monotonic_ns()
        if not self.marks and 0 <= now_ns - self.last.mono_ns < BRIEF_NS:
            self.clocks.mark(self.last)
            return self.last._replace(mono_ns=now_ns)
        marks, self.marks = self.marks, []
        for now in (*marks, self.clocks.read()):
            before = self.last
            if now.mono_ns > before.mono_ns:  # an alarm can go off between these two lines
                cpu_ns = now.cpu_ns - before.cpu_ns
                if now.mono_ns - before.mono_ns - cpu_ns >= SLACK_NS:  # as in wait
                    starved = self.clocks.starved(before, now)
                    self.frozen.add(window_at_work(before.mono_ns, now.mono_ns, cpu_ns, starved))
                self.last = now
        self.clocks.mark(self.last)
        return self.last
