"""The time of day, with a doubt when it jumps.

In: the machine's clock, and one that only ever runs on. Out: Times. A clock that somebody sets, or that comes back
wrong after a migration, may be right before the jump or after it. So for five minutes our own time goes on as if
nothing had happened, and whatever fits either of the two is taken; who is right by then is believed.
"""

import logging
import time
from collections.abc import Callable

import msgspec

LOG = logging.getLogger(__name__)

JUMP_MS = 60_000
"""What is less is no jump: a clock that is corrected, a process that was stopped for a while."""

PATIENCE_MS = 300_000


_NS_PER_MS = 1_000_000
_JUMP_NS = JUMP_MS * _NS_PER_MS


class Times(msgspec.Struct, frozen=True, gc=False):
    """What time it is, and the earliest and the latest that it may be. Unix epoch."""

    now_ms: int
    earliest_ms: int
    latest_ms: int


def certain(at_ms: int) -> Times:
    """Return a time that nobody doubts."""
    return Times(at_ms, at_ms, at_ms)


class Clock:
    """``told_ns`` is the machine's word for the time, ``steady_ns`` the clock that nobody sets, and it is held to."""

    def __init__(
        self, told_ns: Callable[[], int] = time.time_ns, steady_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._told_ns = told_ns
        self._steady_ns = steady_ns
        self._ahead_ns = told_ns() - steady_ns()  # of the steady one
        self._doubted_since_ms: int | None = None  # steady

    def steady_ms(self) -> int:
        """Return the time since some moment, by the clock that nobody sets."""
        return self._steady_ns() // _NS_PER_MS

    def times(self) -> Times:
        """Return the time."""
        told_ns = self._told_ns()
        ahead_ns = told_ns - self._steady_ns()
        told_ms, jump_ns = told_ns // _NS_PER_MS, ahead_ns - self._ahead_ns
        if not -_JUMP_NS <= jump_ns <= _JUMP_NS and not self._believed(jump_ns):
            ours_ms = (told_ns - jump_ns) // _NS_PER_MS
            return Times(ours_ms, min(ours_ms, told_ms), max(ours_ms, told_ms))
        if self._doubted_since_ms is not None:
            self._doubted_since_ms = None
            LOG.warning("the clock is believed again")
        self._ahead_ns = ahead_ns
        return Times(told_ms, told_ms, told_ms)

    def _believed(self, jump_ns: int) -> bool:
        steady_ms = self.steady_ms()
        if self._doubted_since_ms is None:
            self._doubted_since_ms = steady_ms
            words = "the clock has jumped by %+d s; it is believed when it has kept to that for %d s"
            LOG.warning(words, round(jump_ns / 1e9), PATIENCE_MS // 1000)
        return steady_ms - self._doubted_since_ms >= PATIENCE_MS
