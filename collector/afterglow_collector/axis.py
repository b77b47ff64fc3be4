"""One time axis for a terminal: time awake to scale, time frozen folded into a narrow band.

In: stretches of time, in order, and how many columns there are. Out: one axis, or several below each other
when the stretches do not fit beside each other. Pure.
"""

from typing import NamedTuple

SHORTEST_AWAKE_COLUMNS = 3


class Stretch(NamedTuple):
    """A part of the run. Times are Unix epoch milliseconds."""

    from_ms: float
    to_ms: float
    label: str  # what stands in a folded stretch's place: "502 ms"
    fold: str | None  # None: awake and to scale; else frozen, idle or skipped

    @property
    def fewest_columns(self) -> int:
        """The columns below which the stretch cannot be read."""
        return len(self.label) + 2 if self.fold else SHORTEST_AWAKE_COLUMNS


class Placed(NamedTuple):
    """A stretch with its columns: from ``first`` to just before ``end``."""

    stretch: Stretch
    first: int
    end: int


class Axis(NamedTuple):
    """Stretches side by side."""

    placed: list[Placed]

    @property
    def columns(self) -> int:
        """How many columns the axis takes."""
        return self.placed[-1].end

    def span(self, from_ms: float, to_ms: float) -> range:
        """Return the columns that an interval covers: at least one, or none if it lies outside."""
        start, end = self.placed[0].stretch.from_ms, self.placed[-1].stretch.to_ms
        if to_ms < start or from_ms > end:
            return range(0)
        first = min(int(self._column(from_ms)), self.columns - 1)
        return range(first, max(first + 1, round(self._column(to_ms))))

    def _column(self, at_ms: float) -> float:
        for (from_ms, to_ms, _, _), first, end in self.placed:
            if at_ms <= to_ms:
                share = (at_ms - from_ms) / (to_ms - from_ms) if to_ms > from_ms else 0.0
                return first + max(0.0, share) * (end - first)
        return self.columns


def lay_out(stretches: list[Stretch], columns: int) -> list[Axis]:
    """Return as many axes as it takes for every stretch to have its fewest columns."""
    return [_axis(part, columns) for part in _parts(stretches, columns)]


def _parts(stretches: list[Stretch], columns: int) -> list[list[Stretch]]:
    parts: list[list[Stretch]] = [[]]
    for stretch in stretches:
        if parts[-1] and sum(s.fewest_columns for s in [*parts[-1], stretch]) > columns:
            parts.append([])
        parts[-1].append(stretch)
    return [part for part in parts if part]


def _axis(stretches: list[Stretch], columns: int) -> Axis:
    """Give each its fewest columns, and what is left to those awake, in proportion to how long they are."""
    awake_ms = sum(s.to_ms - s.from_ms for s in stretches if not s.fold)
    left = max(0, columns - sum(s.fewest_columns for s in stretches))
    placed, at = [], 0.0
    for stretch in stretches:
        share = 0.0 if stretch.fold or not awake_ms else (stretch.to_ms - stretch.from_ms) / awake_ms
        end = at + stretch.fewest_columns + share * left
        placed.append(Placed(stretch, int(at), int(end)))
        at = end
    return Axis(placed)
