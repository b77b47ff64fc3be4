"""Adds Invocations up by window: the collector's fast path, equal to ``afterglow.aggregate`` to the last digit.

In: rows of figures of one window, as digests bring them. Out: per window counts, sums, minima, maxima and SEH1 bins.

They wait until some thousand rows are together; then numpy takes each metric as one column. A window is known by
its slot, a small whole number that is used again once the window has been taken.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from afterglow.distribution import MAX_VALUE
from afterglow_collector.collect.binning import BINS, MAX_MILLI, Floats, Ints, bins_of
from afterglow_collector.collect.calls import FORMULAS, MEMORY_MB, TOTALS, Columns
from afterglow_collector.collect.digest import CallGroup
from afterglow_collector.collect.figures import HALF_BITS, LOW_HALF, no_figures
from afterglow_collector.collect.histogram import Histogram
from afterglow_collector.collect.rows import RowFormat
from afterglow_collector.collect.taken import Taken

ROWS_AT_ONCE = 8192
"""A compromise: numpy's fixed costs are spread over these, and they stop the event loop for 1 to 2 ms. With half as
many a batch of 50 takes 2 to 5 µs more; twice as many stop the loop for 3 to 10 ms."""

WAITING = 7
"""What is known of rows that wait: slot, the five counts of CallGroup, and the memory size, 0 if it is not known."""


class Tally:
    """Figures by slot. ``refused_values`` counts what no metric can hold, and only ever grows."""

    def __init__(self, metrics: frozenset[str], form: RowFormat) -> None:
        self.names = tuple(name for name in FORMULAS if name in metrics)
        self.totals = tuple(name in metrics for name in TOTALS)
        self.refused_values = 0
        self._format = form
        self._rows: list[bytes] = []
        self._rows_waiting = 0
        self._waiting: list[int] = []  # WAITING of them for each window and batch
        self._histogram = Histogram()
        self._figures = no_figures(len(self.names))

    def add(self, slot: int, memory_mb: int | None, group: CallGroup, rows: bytes) -> None:
        """Take the rows of one window and one environment in; there is at least one."""
        self._waiting += slot, group.calls, group.cold, group.errors, group.judged, group.looked, memory_mb or 0
        self._rows.append(rows)
        self._rows_waiting += group.calls
        if self._rows_waiting >= ROWS_AT_ONCE:
            self.settle()

    def settle(self) -> None:
        """Add up the rows that wait."""
        if not self._waiting:
            return
        batches = np.array(self._waiting, np.int64).reshape(-1, WAITING)
        rows, self._rows = self._rows, []
        self._rows_waiting = 0
        self._waiting.clear()
        self._figures = self._figures.with_room_for(int(batches[:, 0].max()) + 1)
        np.add.at(self._figures.totals, batches[:, 0], batches[:, 1:6])
        if self.names:
            self._settle_columns(batches, self._format.columns(rows))

    def take(self, slots: Sequence[int]) -> Taken:
        """Return the figures of these slots, and forget them."""
        self.settle()
        self._figures = self._figures.with_room_for(max(slots, default=-1) + 1)
        chosen = np.zeros(len(self._figures.totals), np.bool_)
        chosen[list(slots)] = True
        run = self._histogram.take(chosen, BINS * max(len(self.names), 1))
        return Taken(self.names, self.totals, list(slots), self._figures.take(slots), run)

    def copy(self, slots: Sequence[int]) -> Taken:
        """Return the figures of all slots, these being all that there are, and keep them."""
        self.settle()
        self._figures = self._figures.with_room_for(max(slots, default=-1) + 1)
        return Taken(self.names, self.totals, list(slots), self._figures.of(slots), self._histogram.whole())

    def restore(self, taken: Taken) -> None:
        """Begin with these figures, which a tally of the same metrics has copied."""
        self._figures = self._figures.with_room_for(max(taken.slots, default=-1) + 1)
        self._figures.put(taken.slots, taken.figures)
        self._histogram = Histogram(taken.run)

    def _settle_columns(self, batches: Ints, columns: Columns) -> None:
        slots = np.repeat(batches[:, 0], batches[:, 1])
        starts = np.concatenate(([0], np.cumsum(batches[:-1, 1])))
        memory_mb = np.where(batches[:, 6] == 0, np.nan, batches[:, 6])
        columns[MEMORY_MB] = np.repeat(memory_mb, batches[:, 1])
        keys: list[Ints] = []
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused below
            for metric, name in enumerate(self.names):
                values = FORMULAS[name].values(columns)
                milli, fit = self._in_milli(values)
                self._settle_metric(metric, milli, fit, starts, batches[:, 0])
                first_key = (slots * len(self.names) + metric) * BINS
                keys.append((first_key + bins_of(milli))[fit])
        self._histogram.add(np.concatenate(keys))

    def _in_milli(self, values: Floats) -> tuple[Ints, Any]:
        """Return whole thousandths, 0 in place of what does not fit, and which of them fit."""
        fit = (values >= 0) & (values <= MAX_VALUE)
        self.refused_values += int(np.count_nonzero(~(fit | np.isnan(values))))
        return np.rint(np.where(fit, values, 0) * 1000).astype(np.int64), fit

    def _settle_metric(self, metric: int, milli: Ints, fit: Any, starts: Ints, slots: Ints) -> None:
        """Add one column to sums, minima and maxima, a batch at a time."""
        figures = self._figures
        np.add.at(figures.low[:, metric], slots, np.add.reduceat(milli & LOW_HALF, starts))
        if milli.max() > LOW_HALF:
            np.add.at(figures.high[:, metric], slots, np.add.reduceat(milli >> HALF_BITS, starts))
        np.maximum.at(figures.maxima[:, metric], slots, np.maximum.reduceat(milli, starts))
        least = np.minimum.reduceat(np.where(fit, milli, MAX_MILLI), starts)
        np.minimum.at(figures.minima[:, metric], slots, least)
