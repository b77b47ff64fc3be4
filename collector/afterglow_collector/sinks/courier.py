"""Carries one sink's entries from the outbox to the sink, one step at a time.

In: an outbox, a sink, a cursor file, clocks. Out: entries at the sink, and a cursor that says so. Each sink has
a courier of its own, so that a dead one neither blocks the others nor loses anything: its entries stay in the
outbox. No thread here and no sleep: ``step`` says how long there is to wait, which is what the tests ask it.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from afterglow_collector.sinks.backoff import Backoff
from afterglow_collector.sinks.breaker import Breaker, BreakerPolicy, State
from afterglow_collector.sinks.contract import Entry, Outbox, Sink, SinkBatch, SinkRefused, SinkRetry
from afterglow_collector.sinks.counters import SinkCounters
from afterglow_collector.sinks.cursor import read_cursor, write_cursor

IDLE_S = 1.0
"""How often to look for entries when nobody says that there are some."""


class Policy(NamedTuple):
    """How a sink is treated."""

    batch_entries: int = 200  # records come in batches of up to a body's size each, and all of them lie in memory
    backoff: Backoff = Backoff()
    breaker: BreakerPolicy = BreakerPolicy()


class Clocks(NamedTuple):
    """Monotonic seconds, Unix epoch seconds, and chance in [0, 1)."""

    monotonic_s: Callable[[], float] = time.monotonic
    wall_s: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random


class Courier:
    """One sink's way through the outbox. ``parts`` is what is left of the batch in hand, in order."""

    def __init__(
        self,
        sink: Sink,
        outbox: Outbox,
        cursor_path: Path,
        policy: Policy | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        self.sink = sink
        self.outbox = outbox
        self.cursor_path = cursor_path
        self.policy = policy or Policy()
        self.clocks = clocks or Clocks()
        self.breaker = Breaker(self.policy.breaker)
        self.counters = SinkCounters()
        self.parts: deque[Sequence[Entry]] = deque()
        self.saved_seq = read_cursor(cursor_path)
        self._taken_seq = self.saved_seq  # the last entry of the batch in hand
        self._not_before_s = 0.0
        self._found_nothing = False

    def step(self) -> float:
        """Try what is due; return the seconds until something is: 0 when there is more, IDLE_S when nothing is."""
        now_s = self.clocks.monotonic_s()
        wait_s = max(self._not_before_s - now_s, self.breaker.wait_s(now_s))
        if wait_s > 0:
            return wait_s
        if not self.parts:
            self._take()
        if self.parts:
            return self._try(now_s)
        return 0.0 if self._taken_seq > self.saved_seq and self._save() else IDLE_S

    @property
    def idle(self) -> bool:
        """Whether the last step found nothing left to do."""
        return self._found_nothing and not self.parts

    def waiting_s(self) -> float:
        """Return the seconds until the next try; 0 if nothing holds it back."""
        return max(0.0, self._not_before_s - self.clocks.monotonic_s())

    def _take(self) -> None:
        """Take the next batch in hand, or those of its entries that are for this sink."""
        entries = self.outbox.read(self._taken_seq, self.policy.batch_entries)
        self._found_nothing = not entries
        if not entries:
            return
        if self._taken_seq:  # a new sink starts with what there is
            self.counters.missed += entries[0].seq - self._taken_seq - 1
        self._taken_seq = entries[-1].seq
        wanted = [entry for entry in entries if entry.kind in self.sink.kinds]
        self.counters.skipped += len(entries) - len(wanted)
        if wanted:
            self.parts.append(wanted)

    def _try(self, now_s: float) -> float:
        if self.breaker.state is State.PROBING and len(self.parts[0]) > 1:
            whole = self.parts.popleft()
            self.parts.extendleft((whole[1:], whole[:1]))
        part = self.parts[0]  # stays in hand until it is known what became of it
        self.counters.tries += 1
        try:
            refused = self.sink.send(SinkBatch(part, int(self.clocks.wall_s() * 1000)))
        except SinkRetry as retry:
            return self._again(part, retry, now_s)
        except SinkRefused as refusal:
            self.parts.popleft()
            self._refused(part, refusal)
        else:
            self.parts.popleft()
            self._done(len(part), refused)
        self.breaker.sent()  # an answer, if not the wished-for one: the other side lives
        return 0.0 if self.parts or self._save() else IDLE_S

    def _again(self, part: Sequence[Entry], retry: SinkRetry, now_s: float) -> float:
        remaining = part if retry.remaining is None else retry.remaining
        self._done(len(part) - len(remaining), retry.refused)
        if len(remaining) < len(part):
            self.breaker.sent()
        self.parts.popleft()
        if remaining:
            self.parts.appendleft(remaining)
        return self.fail(retry.reason, now_s, retry.after_s)

    def fail(self, reason: str, now_s: float, asked_s: float | None = None) -> float:
        """Note a failed try, and return how long to wait for the next one."""
        self.counters.fail(reason)
        self.breaker.failed(now_s)
        self.counters.breaker_opened = self.breaker.opened
        wait_s = self.policy.backoff.wait_s(self.breaker.failures, self.clocks.chance(), asked_s)
        self._not_before_s = now_s + wait_s
        return max(wait_s, self.breaker.wait_s(now_s))

    def _refused(self, part: Sequence[Entry], refusal: SinkRefused) -> None:
        """Halve a refused batch until the entry is found that spoils it: some 2 log2(n) more tries, the rest kept."""
        if len(part) == 1:
            self.counters.refuse(refusal.reason, 1)
            return
        middle = len(part) // 2
        self.parts.extendleft((part[middle:], part[:middle]))

    def _done(self, entries: int, refused: Mapping[str, int]) -> None:
        for reason, count in refused.items():
            self.counters.refuse(reason, count)
        self.counters.sent += entries - sum(refused.values())

    def _save(self) -> bool:
        """Write the cursor. If the disk is full we go on, and say so: the price is a repetition after a restart."""
        try:
            write_cursor(self.cursor_path, self._taken_seq)
        except OSError:
            self.counters.cursor_errors += 1
            return False
        self.saved_seq = self._taken_seq
        return True
