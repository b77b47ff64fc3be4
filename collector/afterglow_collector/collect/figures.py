"""Sums, minima, maxima and totals by slot, in arrays that grow by doubling.

In: what the tally adds. Out: the same for some slots, which are then blank again.

A sum is kept as two halves of 32 bits, each in 64: whole thousandths up to 10**15 add up exactly, 2**31 of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from afterglow_collector.collect.binning import MAX_MILLI, Ints

HALF_BITS = 32
LOW_HALF = (1 << HALF_BITS) - 1
TOTALS_WIDTH = 5


class Figures(NamedTuple):
    """One row per slot; ``totals`` is as CallGroup has them, the others have one column a metric."""

    totals: Ints
    low: Ints
    high: Ints
    minima: Ints
    maxima: Ints

    def of(self, slots: Sequence[int]) -> "Figures":
        """Return copies of these slots' rows, in their order."""
        chosen = np.array(slots, np.int64)
        return Figures(*(array[chosen] for array in self))

    def take(self, slots: Sequence[int]) -> "Figures":
        """Return these slots' rows, and blank them."""
        taken = self.of(slots)
        chosen = np.array(slots, np.int64)
        for array, fill in zip(self, _BLANK, strict=True):
            array[chosen] = fill
        return taken

    def put(self, slots: Sequence[int], rows: "Figures") -> None:
        """Set these slots' rows."""
        chosen = np.array(slots, np.int64)
        for array, values in zip(self, rows, strict=True):
            array[chosen] = values

    def with_room_for(self, slots: int) -> "Figures":
        """Return figures that have at least so many slots."""
        have = len(self.totals)
        if slots <= have:
            return self
        more = max(slots, 2 * have, 64) - have
        return Figures(
            *(
                np.concatenate((array, np.full((more, array.shape[1]), fill, np.int64)))
                for array, fill in zip(self, _BLANK, strict=True)
            )
        )


_BLANK = (0, 0, 0, MAX_MILLI, 0)
"""As ``Distribution`` begins."""


def no_figures(metrics: int) -> Figures:
    """Return figures without a slot."""
    return Figures(np.empty((0, TOTALS_WIDTH), np.int64), *(np.empty((0, metrics), np.int64) for _ in range(4)))
