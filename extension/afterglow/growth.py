"""What grows by something with each invocation. In: a figure at each return. Out: a Growth, once it is sure.

Pure. One step is no growth, nor are a pool that fills, a cache that stays, a saw-tooth: every one of the last returns
must have had more than the one before, by much the same, for longer than pools of the usual sizes take to fill.
"""

from typing import NamedTuple

STEPS = 7
"""More than the threads of a default pool on two cores (6) and a database pool's connections (5)."""
SPREAD = 3.0
"""The largest step may be so many times the smallest: what comes with each invocation is of one size."""
AGAIN = 10
"""Told again when it has grown by so many times as much."""


class Growth(NamedTuple):
    """It has grown at each of the last returns."""

    before: int
    now: int
    invocations: int


class Growing:
    """One figure of one process, return by return."""

    __slots__ = ("_least", "_told", "_values")

    def __init__(self, least_step: int) -> None:
        self._least = least_step
        self._values: list[int] = []
        self._told = 0  # growth when it was told

    def note(self, value: int | None) -> Growth | None:
        """Note the figure at a return; return the growth when it is worth a word. An unknown one breaks no row."""
        if value is None:
            return None
        self._values.append(value)
        if len(self._values) > 1 and value - self._values[-2] < self._least:
            del self._values[:-1]
            return None
        growth = value - self._values[0]
        if len(self._values) <= STEPS or not is_steady(self._values) or growth < AGAIN * self._told:
            self._bound()
            return None
        self._told = growth
        return Growth(self._values[0], value, len(self._values))

    def _bound(self) -> None:
        """Keep the first of the row and the latest ones."""
        if len(self._values) > 4 * STEPS:
            del self._values[1 : -2 * STEPS]


def is_steady(values: list[int]) -> bool:
    """Return whether the latest steps are of one size."""
    latest = values[-STEPS - 1 :]
    steps = [later - earlier for earlier, later in zip(latest, latest[1:], strict=False)]  # noqa: RUF007 - no itertools
    return bool(steps) and max(steps) <= SPREAD * min(steps)
