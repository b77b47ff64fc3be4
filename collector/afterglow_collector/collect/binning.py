"""SEH1 bins for whole arrays at once, equal to ``afterglow.distribution.bin_of`` for each member.

In: whole numbers of thousandths, 0 to MAX_MILLI. Out: bins, counted from ZERO_BIN, so from 0.

A double's top bits (exponent and 7 bits of mantissa) name a cell no wider than 1/128 of its value. Bins are a
tenth wide, so a cell meets at most one bin's edge: look the cell's first bin up, add one where the edge is
reached. 8 ns a value, where bisection of the edges takes 38 (numpy.searchsorted, random values).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from afterglow.distribution import HIGHEST_BIN, MAX_VALUE, ZERO_BIN, bin_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MAX_MILLI = 1000 * MAX_VALUE
BINS = 512
"""Room for a bin in a key: the next power of two above the 364 that there are."""

_SHIFT = 52 - 7
_TOO_MANY = np.iinfo(np.int64).max


def _cells(milli: NDArray[Any]) -> Ints:
    cells: Ints = (milli.astype(np.float64).view(np.int64) >> _SHIFT) - _CELL_OF_ONE
    return cells


_CELL_OF_ONE = int(np.float64(1.0).view(np.int64)) >> _SHIFT


def _first_edges() -> Ints:
    """Return the smallest member of each bin, found by bisection of ``bin_of`` itself; then one that none reaches."""
    edges = [0]
    for wanted in range(1, HIGHEST_BIN - ZERO_BIN + 1):
        low, high = edges[-1], MAX_MILLI
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if bin_of(middle) - ZERO_BIN >= wanted else (middle + 1, high)
        edges.append(low)
    return np.array([*edges, _TOO_MANY], np.int64)


def _bins_of_cells() -> NDArray[np.int16]:
    """Return the bin in which each cell begins. A cell's start need not be whole: its first whole number counts."""
    last = int(_cells(np.array([MAX_MILLI]))[0])
    starts = ((np.arange(last + 1, dtype=np.int64) + _CELL_OF_ONE) << _SHIFT).view(np.float64)
    return np.array([min(bin_of(int(start)), HIGHEST_BIN) - ZERO_BIN for start in np.ceil(starts)], np.int16)


_EDGES = _first_edges()
_BINS = _bins_of_cells()


def bins_of(milli: Ints) -> Ints:
    """Return the bins, from 0, of whole numbers of thousandths."""
    cells = _cells(milli)
    bins: Ints = _BINS[np.maximum(cells, 0, out=cells)].astype(np.int64)
    bins += milli >= _EDGES[bins + 1]
    bins[milli == 0] = 0
    return bins
