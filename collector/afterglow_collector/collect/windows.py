"""The open windows: all that has been taken in and not been closed, by minute and series.

In: digests of batches. Out: ``Closed``, the windows of minutes that are over, from which lines are written group by
group.

Invocations go through the tally, in columns; all other kinds, some for each hundred Invocations, go through the
plain ``Aggregate``. The two never share a metric's values by accident: they are merged, exactly, at the end.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from afterglow.aggregate import REFUSED_VALUE, Aggregate
from afterglow.measures import MEASURES
from afterglow.records import Environment
from afterglow.window import MINUTE_MS, Series, Window, series_of
from afterglow_collector.aggregate_state import from_state, to_state
from afterglow_collector.collect.digest import Digest, Digester
from afterglow_collector.collect.overheads import OverheadSum, window_of
from afterglow_collector.collect.taken import Taken, from_plain, to_plain
from afterglow_collector.collect.tally import Tally

WINDOWS_AT_ONCE = 256
"""How many windows are turned into lines in one go: bounds both the memory and the size of an outbox group."""

_series_of = lru_cache(4096)(series_of)  # a tuple that is not made for each batch anew: 0.3 µs less

_UNBOUNDED = 1 << 62  # the service refuses batches before the aggregate would have to drop what is acknowledged

GroupKey = Callable[[Series], tuple[str, ...]]


class Closed(NamedTuple):
    """Windows that are over. ``keys`` go with the rows of ``taken``; ``others`` are what other kinds add to them."""

    taken: Taken
    keys: list[tuple[int, Series]]
    others: list[Window]

    def groups(self, group_key: GroupKey) -> Iterator[list[Window]]:
        """Return all windows, some hundred at a time; those that share minute and group key stay together."""
        rows = {key: row for row, key in enumerate(self.keys)}
        others = {(window.minute, window.series): window for window in self.others}
        every = sorted(rows, key=lambda key: (key[0], group_key(key[1]), str(key[1])))
        group: list[Window] = []
        last: tuple[int, tuple[str, ...]] | None = None
        for minute, series in every:
            shared = minute, group_key(series)
            if len(group) >= WINDOWS_AT_ONCE and shared != last:
                yield group
                group = []
            last = shared
            group.append(self._window(minute, series, rows, others))
        if group:
            yield group

    def _window(
        self, minute: int, series: Series, rows: dict[tuple[int, Series], int], others: dict[Any, Window]
    ) -> Window:
        window, other = self.taken.window(rows[minute, series], minute, series), others.get((minute, series))
        if other is not None:
            window.absorb(other)
        return window


class Windows:
    """Opens a window for whatever comes; each has a slot, also one that no Invocation has come to yet.

    ``late`` counts records of minutes that were over when they came.
    """

    def __init__(self, metrics: frozenset[str]) -> None:
        self.metrics = metrics
        self.late = 0
        self.digester = Digester(metrics)
        self._tally = Tally(metrics, self.digester.format)
        self._others = Aggregate(metrics, _UNBOUNDED, _UNBOUNDED)
        self._slots: dict[int, dict[Series, int]] = {}
        self._free: list[int] = []
        self._used = 0

    def __len__(self) -> int:
        """Return how many windows are open."""
        return self._used - len(self._free)

    def would_open(self, digest: Digest) -> list[int]:
        """Return the minutes of which a batch would open its series' windows."""
        series, slots, groups = _series_of(digest.environment), self._slots, digest.groups
        if len(groups) == 1 and not digest.overheads and not digest.others:  # mostly: Invocations of one minute
            minute = groups[0].minute
            return [] if minute in slots and series in slots[minute] else [minute]
        return [minute for minute in minutes_of(digest) if minute not in slots or series not in slots[minute]]

    def knows(self, environment: Environment) -> bool:
        """Say whether the series has a window open, of whatever minute."""
        series = _series_of(environment)
        return any(series in of_minute for of_minute in self._slots.values())

    def refused_values(self) -> int:
        """Return how many values no metric could hold, since the beginning."""
        self._tally.settle()
        return self._tally.refused_values + self._others.dropped.get(REFUSED_VALUE, 0)

    def add(self, digest: Digest, over_before: int) -> None:
        """Take a batch in; its records of minutes before ``over_before`` are late."""
        environment, at = digest.environment, 0
        for group in digest.groups:
            end = at + group.calls * self.digester.format.row_bytes
            slot = self._slot(group.minute, environment)
            self._tally.add(slot, environment.memory_mb, group, digest.rows[at:end])
            at = end
            if group.minute < over_before:
                self.late += group.calls
        for overhead in digest.overheads:
            self._add_overhead(environment, overhead, over_before)
        for record in digest.others:
            self._add_other(environment, record, over_before)

    def take_before(self, minute: int) -> Closed:
        """Return the windows of the minutes before this one, and forget them."""
        minutes = sorted(one for one in self._slots if one < minute)
        by_key = {(one, series): slot for one in minutes for series, slot in self._slots.pop(one).items()}
        slots = list(by_key.values())
        self._free += slots
        return Closed(self._tally.take(slots), list(by_key), self._others.take_before(minute))

    def oldest(self) -> int | None:
        """Return the oldest minute that has a window."""
        return min(self._slots, default=None)

    def to_plain(self) -> dict[str, Any]:
        """Return all of it as plain values, fit for MessagePack."""
        keys = [(minute, tuple(series)) for minute, slots in self._slots.items() for series in slots]
        slots = [slot for of_minute in self._slots.values() for slot in of_minute.values()]
        return {
            "metrics": sorted(self.metrics),
            "late": self.late,
            "refused_values": self.refused_values(),
            "keys": keys,
            "calls": to_plain(self._tally.copy(slots)),
            "others": to_state(self._others.windows()),
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> "Windows":
        """Return what ``to_plain`` told; KeyError, TypeError or ValueError if this is something else."""
        windows = cls(frozenset(plain["metrics"]))
        windows.late = plain["late"]
        taken = from_plain(plain["calls"], windows._tally.totals)
        windows._tally.restore(taken)
        windows._tally.refused_values = plain["refused_values"]
        others = from_state(plain["others"])
        windows._others.absorb(others)
        for (minute, series), slot in zip(plain["keys"], taken.slots, strict=True):
            windows._slots.setdefault(minute, {})[Series(*series)] = slot
        windows._used = max(taken.slots, default=-1) + 1
        windows._free = sorted(set(range(windows._used)) - set(taken.slots))
        return windows

    def _add_overhead(self, environment: Environment, overhead: OverheadSum, over_before: int) -> None:
        self._others.absorb([window_of(overhead, series_of(environment))])
        self._tally.refused_values += overhead.refused
        self._slot(overhead.minute, environment)
        self.late += overhead.records if overhead.minute < over_before else 0

    def _add_other(self, environment: Environment, record: Any, over_before: int) -> None:
        self._others.add(environment, record)
        minute = int(record.at_ms // MINUTE_MS)
        self.late += minute < over_before
        if type(record) in MEASURES:
            self._slot(minute, environment)

    def _slot(self, minute: int, environment: Environment) -> int:
        of_minute = self._slots.setdefault(minute, {})
        series = _series_of(environment)
        slot = of_minute.get(series)
        if slot is None:
            slot = self._free.pop() if self._free else self._used
            self._used = max(self._used, slot + 1)
            of_minute[series] = slot
        return slot


def minutes_of(digest: Digest) -> set[int]:
    """Return the minutes of which a batch says something that is published."""
    minutes = {group.minute for group in digest.groups}
    minutes.update(overhead.minute for overhead in digest.overheads)
    minutes.update(int(record.at_ms // MINUTE_MS) for record in digest.others if type(record) in MEASURES)  # type: ignore[union-attr]  # an Environment has no measure
    return minutes
