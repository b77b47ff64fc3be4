"""Figures that have been taken out of a tally: to be made windows of, or to be kept on disk.

In: arrays. Out: ``Window`` objects, one slot at a time, equal to those of ``afterglow.aggregate``.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from afterglow.distribution import ZERO_BIN, Distribution, Total
from afterglow.window import Series, Window
from afterglow_collector.collect.binning import BINS
from afterglow_collector.collect.calls import TOTALS
from afterglow_collector.collect.figures import HALF_BITS, TOTALS_WIDTH, Figures
from afterglow_collector.collect.histogram import Run


class Taken(NamedTuple):
    """``figures`` and ``slots`` go together row by row; the run's keys are (slot, metric, bin), packed."""

    names: tuple[str, ...]  # of the distributions
    totals: tuple[bool, ...]  # which of TOTALS are asked for
    slots: list[int]
    figures: Figures
    run: Run

    def window(self, row: int, minute: int, series: Series) -> Window:
        """Return the window of one row."""
        window = Window(minute, series)
        rows, cold, errors, judged, looked = self.figures.totals[row].tolist()
        self._put_total(window, 0, rows, known=rows > 0)
        self._put_total(window, 1, cold, known=rows > 0)
        self._put_total(window, 2, errors, known=judged > 0)
        self._put_total(window, 3, 0, known=looked > 0)
        for metric, name in enumerate(self.names):
            bins = self._bins(self.slots[row], metric)
            if bins:
                window.distributions[name] = self._distribution(row, metric, bins)
        return window

    def _put_total(self, window: Window, index: int, count: int, *, known: bool) -> None:
        if known and self.totals[index]:
            total = window.totals[TOTALS[index]] = Total()
            total.sum_milli, total.known = 1000 * count, True

    def _bins(self, slot: int, metric: int) -> dict[int, int]:
        first = (slot * len(self.names) + metric) * BINS
        start, end = np.searchsorted(self.run.keys, (first, first + BINS))
        bins = self.run.keys[start:end] - (first - ZERO_BIN)
        return dict(zip(bins.tolist(), self.run.counts[start:end].tolist(), strict=True))

    def _distribution(self, row: int, metric: int, bins: dict[int, int]) -> Distribution:
        figures, distribution = self.figures, Distribution()
        distribution.bins = bins
        distribution.sum_milli = (int(figures.high[row, metric]) << HALF_BITS) + int(figures.low[row, metric])
        distribution.min_milli = int(figures.minima[row, metric])
        distribution.max_milli = int(figures.maxima[row, metric])
        return distribution


def to_plain(taken: Taken) -> dict[str, Any]:
    """Return the arrays as bytes and lists, fit for MessagePack."""
    arrays = {name: np.ascontiguousarray(array).tobytes() for name, array in taken.figures._asdict().items()}
    return {
        "names": list(taken.names),
        "slots": taken.slots,
        "keys": taken.run.keys.tobytes(),
        "counts": taken.run.counts.tobytes(),
        **arrays,
    }


def from_plain(plain: dict[str, Any], totals: Sequence[bool]) -> Taken:
    """Return what ``to_plain`` was given; KeyError or ValueError if this is something else."""
    names = tuple(plain["names"])
    shapes = Figures(TOTALS_WIDTH, *(4 * [len(names)]))  # type: ignore[arg-type]  # widths in the places of their arrays
    rows = len(plain["slots"])
    figures = Figures(
        *(np.frombuffer(plain[name], np.int64).reshape(rows, width) for name, width in shapes._asdict().items())
    )
    run = Run(np.frombuffer(plain["keys"], np.int64), np.frombuffer(plain["counts"], np.uint32))
    return Taken(names, tuple(totals), list(plain["slots"]), figures, run)
