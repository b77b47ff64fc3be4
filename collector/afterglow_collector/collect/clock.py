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


def now_ms() -> int:
    """Return the time: Unix epoch."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """Return the time since some moment, by a clock that nobody sets."""
    return time.monotonic_ns() // 1_000_000


class Times(msgspec.Struct, frozen=True, gc=False):
    """What time it is, and the earliest and the latest that it may be. Unix epoch."""

    now_ms: int
    earliest_ms: int
    latest_ms: int


def certain(at_ms: int) -> Times:
    """Return a time that nobody doubts."""
    return Times(at_ms, at_ms, at_ms)


class Clock:
    """``told_ms`` is the machine's word for the time, ``steady_ms`` the clock that it is held to."""

    def __init__(self, told_ms: Callable[[], int] = now_ms, steady_ms: Callable[[], int] = steady_ms) -> None:
        self.steady_ms = steady_ms
        self._told_ms = told_ms
        self._ahead_ms = told_ms() - steady_ms()  # of the steady one
        self._doubted_since: int | None = None  # steady

    def times(self) -> Times:
        """Return the time."""
        told, steady = self._told_ms(), self.steady_ms()
        ours = steady + self._ahead_ms
        if abs(told - ours) > JUMP_MS and not self._believed(told - ours, steady):
            return Times(ours, min(ours, told), max(ours, told))
        if self._doubted_since is not None:
            self._doubted_since = None
            LOG.warning("the clock is believed again")
        self._ahead_ms = told - steady
        return certain(told)

    def _believed(self, jump_ms: int, steady: int) -> bool:
        if self._doubted_since is None:
            self._doubted_since = steady
            words = "the clock has jumped by %+d s; it is believed when it has kept to that for %d s"
            LOG.warning(words, round(jump_ms / 1000), PATIENCE_MS // 1000)
        return steady - self._doubted_since >= PATIENCE_MS
