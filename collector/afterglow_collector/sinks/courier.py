"""Carries one sink's entries from the outbox to the sink, one step at a time.

In: an outbox, a sink, a cursor file, clocks. Out: entries at the sink, and a cursor that says so. Each sink has
a courier of its own, so that a dead one neither blocks the others nor loses anything: its entries stay in the
outbox, unless it has an allowance. No thread here and no sleep: ``step`` says how long there is to wait, which is
what the tests ask it.
"""

import errno
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from afterglow_collector.sinks.allowance import CHECK_S, UNLIMITED, Measured
from afterglow_collector.sinks.breaker import Breaker, State
from afterglow_collector.sinks.complaints import Complaints
from afterglow_collector.sinks.contract import Entry, Outbox, Sink, SinkBatch, SinkRefused, SinkRetry
from afterglow_collector.sinks.counters import SinkCounters
from afterglow_collector.sinks.cursor import read_cursor, write_cursor
from afterglow_collector.sinks.hand import Hand
from afterglow_collector.sinks.policy import Clocks, Policy

__all__ = ["IDLE_S", "Clocks", "Courier", "Policy"]

LOG = logging.getLogger(__name__)

BUG_TRIES = 3
"""How often an entry is tried whose sending runs into a bug: then it is given up, for others wait behind it."""

BUGS_IN_A_ROW = 20
"""So many entries given up, and none sent between: that may be the sink's fault, so others are tried at leisure."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

IDLE_S = 1.0
"""How often to look for entries when nobody says that there are some."""


class Courier:
    """One sink's way through the outbox."""

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
        self.complaints = Complaints()
        self.hand = Hand()
        self.saved_seq = read_cursor(cursor_path)
        self.released_seq = self.saved_seq  # what may leave the outbox: more than is saved while the disk is full
        self._taken_seq = self.saved_seq  # the last entry of the batch in hand
        self._not_before_s = 0.0
        self._found_nothing = False
        self._sending: Sequence[Entry] | None = None
        self._stumbles = 0  # tries of one entry that ran into a bug
        self._spoilt = 0  # entries given up for bugs, in a row
        self._check_at_s = 0.0  # when to look at the allowance again

    def step(self) -> float:
        """Try what is due; return the seconds until something is: 0 when there is more, IDLE_S when nothing is."""
        self._sending = None
        now_s = self.clocks.monotonic_s()
        wait_s = max(self._not_before_s - now_s, self.breaker.wait_s(now_s))
        if self.policy.allowance != UNLIMITED:
            self._keep_within_allowance(now_s)
            wait_s = min(wait_s, CHECK_S)
        if wait_s > 0:
            return wait_s
        if not self.hand:
            self._take()
        if self.hand:
            return self._try(now_s)
        return 0.0 if self._taken_seq > self.saved_seq and self._save() else IDLE_S

    @property
    def idle(self) -> bool:
        """Whether the last step found nothing left to do."""
        return self._found_nothing and not self.hand

    def waiting_s(self) -> float:
        """Return the seconds until the next try; 0 if nothing holds it back."""
        return max(0.0, self._not_before_s - self.clocks.monotonic_s())

    def _take(self) -> bool:
        """Take the next batch in hand, or those of its entries that are for this sink; False if there is none."""
        entries = self.outbox.read(self._taken_seq, self.policy.batch_entries)
        self._found_nothing = not entries
        if not entries:
            return False
        if self._taken_seq:  # a new sink starts with what there is
            self.counters.missed += entries[0].seq - self._taken_seq - 1
        self._taken_seq = entries[-1].seq
        wanted = [entry for entry in entries if entry.kind in self.sink.kinds]
        self.counters.skipped += len(entries) - len(wanted)
        self.hand.take(wanted)
        return True

    def _try(self, now_s: float) -> float:
        # It stays in hand until it is known what became of it.
        part = self._sending = self.hand.first(alone=self.breaker.state is State.PROBING)
        self.counters.tries += 1
        try:
            refused = self.sink.send(SinkBatch(part, int(self.clocks.wall_s() * 1000)))
        except SinkRetry as retry:
            return self._again(part, retry, now_s)
        except SinkRefused as refusal:
            self._halve(refusal.reason)
        else:
            self.hand.settle()
            self._done(len(part), refused)
        self._came_through(now_s)  # an answer, if not the wished-for one: the other side lives
        return self._next_s()

    def _next_s(self) -> float:
        return 0.0 if self.hand or self._save() else IDLE_S

    def _came_through(self, now_s: float) -> None:
        self._stumbles = self._spoilt = 0
        self.breaker.sent()
        self._say(self.complaints.went_well(now_s), *self.complaints.overdue(now_s))

    def _again(self, part: Sequence[Entry], retry: SinkRetry, now_s: float) -> float:
        remaining = part if retry.remaining is None else retry.remaining
        self._done(len(part) - len(remaining), retry.refused)
        if len(remaining) < len(part):
            self._came_through(now_s)
        self.hand.settle(remaining)
        return self.fail(retry.reason, now_s, retry.after_s)

    def fail(self, reason: str, now_s: float, asked_s: float | None = None) -> float:
        """Note a failed try, and return how long to wait for the next one."""
        self.counters.fail(reason)
        self._say(self.complaints.failed(reason, now_s))
        self.breaker.failed(now_s)
        self.counters.breaker_opened = self.breaker.opened
        wait_s = self.policy.backoff.wait_s(self.breaker.failures, self.clocks.chance(), asked_s)
        self._not_before_s = now_s + wait_s
        return max(wait_s, self.breaker.wait_s(now_s))

    def stumbled(self, bug: Exception) -> float:
        """Decide what comes after a bug in the sink, and return how long to wait.

        What the system refuses is no entry's fault. Anything else may be: the batch is halved until the entry is
        found, and that is given up when it has failed BUG_TRIES times alone.
        """
        reason, now_s = f"bug: {type(bug).__name__}", self.clocks.monotonic_s()
        part, self._sending = self._sending, None
        if part is None or isinstance(bug, (OSError, MemoryError)):
            return self.fail(reason, now_s)
        self._stumbles = self._stumbles + 1 if len(part) == 1 else 0
        is_last = self._stumbles == BUG_TRIES
        if is_last or len(part) > 1:
            self._stumbles = 0
            self._spoilt += is_last
            self._halve(reason)
        if self._spoilt >= BUGS_IN_A_ROW:
            return self.fail(reason, now_s)
        self.counters.fail(reason)
        wait_s = self.policy.backoff.wait_s(self._stumbles, self.clocks.chance()) if self._stumbles else 0.0
        self._not_before_s = now_s + wait_s
        return wait_s or self._next_s()

    def _halve(self, reason: str) -> None:
        """Look for what spoils the part, and give it up if it is found."""
        if not self.hand.halve():
            self._give_up(reason, 1)

    def _done(self, entries: int, refused: Mapping[str, int]) -> None:
        for reason, count in refused.items():
            self._give_up(reason, count)
        self.counters.sent += entries - sum(refused.values())

    def _give_up(self, reason: str, entries: int) -> None:
        self.counters.refuse(reason, entries)
        self._say(self.complaints.refused(reason, entries, self.clocks.monotonic_s()))

    def _say(self, *words: str | None) -> None:
        for one in filter(None, words):
            LOG.warning("sink %s: %s", self.sink.name, one)

    def _keep_within_allowance(self, now_s: float) -> None:
        """Give up what waits beyond the allowance, the oldest first, whatever the sink is doing."""
        if now_s < self._check_at_s:
            return
        self._check_at_s = now_s + CHECK_S
        allowance, outbox = self.policy.allowance, self.outbox
        beyond_seq = outbox.last_seq_beyond(allowance.most_bytes) if isinstance(outbox, Measured) else 0
        before_ms = allowance.before_ms(self.clocks.wall_s(), fails=self.complaints.failing_since_s is not None)
        while self.hand or self._take():
            if not self.hand:
                continue  # what was taken is for other sinks
            waiting = len(self.hand.first())
            beyond = self.hand.shed(lambda entry: entry.seq > beyond_seq and entry.at_ms >= before_ms)
            if beyond:
                self._give_up(allowance.reason, beyond)
            if beyond < waiting:
                break
        self._save()

    def _save(self) -> bool:
        """Write the cursor. If the disk is full we go on, and say so: the price is a repetition after a restart."""
        first_seq = self.hand.first_seq()
        done_seq = self._taken_seq if first_seq is None else first_seq - 1
        if done_seq <= self.saved_seq:
            return True
        try:
            write_cursor(self.cursor_path, done_seq)
        except OSError as error:
            self.counters.cursor_errors += 1
            if error.errno in NO_ROOM:  # what is done with must go, or there will never be room for a cursor
                self.released_seq = done_seq
            return False
        self.saved_seq = self.released_seq = done_seq
        return True
