"""Adds records up, by minute of event time, series and metric.

In: records with their environment. Out: closed windows, for the EMF encoder or for another aggregate.
Pure and additive: an aggregate of all records equals the merge of aggregates of any parts of them, in any
order. A record that is late for its minute opens that minute again, and what comes of it is a delta:
CloudWatch adds it to what it has.

Bounded: a record that would open one minute or one series too many is dropped and counted in ``dropped``,
under its reason; so is a single value that no metric can hold.
"""

from collections.abc import Iterable

from afterglow.measures import MEASURES
from afterglow.metrics import DEFAULT_METRICS
from afterglow.records import Environment, Record
from afterglow.window import MINUTE_MS, Adder, Series, Window, series_of

MAX_MINUTES = 64
"""Open minutes. The sandbox needs one or two; the collector its grace, and those of late records."""

MAX_SERIES = 1_000
"""Series in one minute; the sandbox has one. With the default metrics one takes about 5 KB."""

TOO_MANY_MINUTES = "too-many-minutes"
TOO_MANY_SERIES = "too-many-series"
REFUSED_VALUE = "refused-value"


class Aggregate:
    """The open windows. ``dropped`` counts records and values by reason, and only ever grows."""

    def __init__(
        self,
        metrics: frozenset[str] = DEFAULT_METRICS,
        max_minutes: int = MAX_MINUTES,
        max_series: int = MAX_SERIES,
    ) -> None:
        self.dropped: dict[str, int] = {}
        self.metrics = metrics
        self.max_minutes = max_minutes
        self.max_series = max_series
        self._minutes: dict[int, dict[Series, Window]] = {}
        self._last_environment: Environment | None = None
        self._last_minute: int | None = None
        self._last_window: Window | None = None

    def add(self, environment: Environment, record: Record) -> None:
        """Take one record in: 3.8 µs for an Invocation that knows everything, 0.6 µs for a Loss."""
        kind = type(record)
        measure = MEASURES.get(kind)
        if measure is None:
            return
        minute: int = record.at_ms // MINUTE_MS  # type: ignore[assignment,union-attr]  # Sample has no measure
        if minute != self._last_minute or environment is not self._last_environment:
            self._turn_to(environment, minute)
        window = self._last_window
        if window is None:
            self._drop(TOO_MANY_SERIES if minute in self._minutes else TOO_MANY_MINUTES)
            return
        adders = window.adders.get(kind) or self._open(window, kind)
        for add, value in zip(adders, measure.values(environment, record)):  # noqa: B905 - costs 2 %
            if value is not None and not add(value):
                self._drop(REFUSED_VALUE)

    def absorb(self, windows: Iterable[Window]) -> None:
        """Add windows of another aggregate. Takes them all: the bounds are kept where records come in."""
        for window in windows:
            of_minute = self._minutes.setdefault(window.minute, {})
            mine = of_minute.setdefault(window.series, Window(window.minute, window.series))
            mine.absorb(window)
        self._forget_last()

    def windows(self) -> list[Window]:
        """Return the open windows by minute and series, and keep them."""
        every = [window for of_minute in self._minutes.values() for window in of_minute.values()]
        return sorted(every, key=lambda window: (window.minute, str(window.series)))

    def take_before(self, minute: int) -> list[Window]:
        """Return the windows of the minutes before this one (since the epoch), and forget them."""
        taken = [window for window in self.windows() if window.minute < minute]
        for window in taken:
            self._minutes.pop(window.minute, None)
        self._forget_last()
        return taken

    def take_all(self) -> list[Window]:
        """Return all windows, and forget them."""
        taken = self.windows()
        self._minutes.clear()
        self._forget_last()
        return taken

    def _turn_to(self, environment: Environment, minute: int) -> None:
        """Find the window for this environment and minute; records come in runs, so it is kept at hand."""
        self._last_environment, self._last_minute, self._last_window = environment, minute, None
        of_minute = self._minutes.get(minute)
        if of_minute is None:
            if len(self._minutes) >= self.max_minutes:
                return
            of_minute = self._minutes[minute] = {}
        series = series_of(environment)
        if series not in of_minute:
            if len(of_minute) >= self.max_series:
                return
            of_minute[series] = Window(minute, series)
        self._last_window = of_minute[series]

    def _forget_last(self) -> None:
        self._last_environment = self._last_minute = self._last_window = None

    def _open(self, window: Window, kind: type[Record]) -> list[Adder]:
        names = MEASURES[kind].names
        window.adders[kind] = [window.adder(name) if name in self.metrics else _ignore for name in names]
        return window.adders[kind]

    def _drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


def _ignore(_: float) -> bool:
    """Take in the value of a metric that nobody asked for."""
    return True


def merge(one: Aggregate, other: Aggregate) -> Aggregate:
    """Return the aggregate of both parts' records; the parts stay as they were."""
    merged = Aggregate(
        one.metrics | other.metrics,
        max(one.max_minutes, other.max_minutes),
        max(one.max_series, other.max_series),
    )
    for part in (one, other):
        merged.absorb(part.windows())
        for reason, count in part.dropped.items():
            merged.dropped[reason] = merged.dropped.get(reason, 0) + count
    return merged
