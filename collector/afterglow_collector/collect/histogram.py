"""How often each key came: sorted arrays, merged from time to time.

In: keys (whole numbers), any number of times each. Out: each key once, ascending, with its count.

A key costs 12 bytes here and 74 in a dict of ints. New keys are
sorted among themselves, and folded into the whole when together they are half as many: so each is moved a
constant number of times on average, however many there are.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from afterglow_collector.collect.binning import Ints

_FOLD_AT = 1 << 18  # keys, 3 MB of them; below this folding costs more than all the rest of a count

Counts = NDArray[np.uint32]


class Run(NamedTuple):
    """Keys, ascending and distinct, and their counts. Never changed once made, so it may be shared."""

    keys: Ints
    counts: Counts


EMPTY = Run(np.empty(0, np.int64), np.empty(0, np.uint32))


class Histogram:
    """Counts of keys. A count stays below 2**32: windows close long before one metric has so many values."""

    def __init__(self, whole: Run = EMPTY) -> None:
        self._whole = whole
        self._news: list[Run] = []
        self._news_size = 0

    def add(self, keys: Ints) -> None:
        """Count each of these keys once more."""
        run = _distinct(np.sort(keys), None)
        self._news.append(run)
        self._news_size += len(run.keys)
        if self._news_size > max(_FOLD_AT, len(self._whole.keys) // 2):
            self._fold()

    def whole(self) -> Run:
        """Return all keys with their counts."""
        self._fold()
        return self._whole

    def take(self, chosen: NDArray[np.bool_], divisor: int) -> Run:
        """Return and forget the keys whose quotient by ``divisor`` is chosen."""
        self._fold()
        keys, counts = self._whole
        mask = chosen[keys // divisor]
        self._whole = Run(keys[~mask], counts[~mask])
        return Run(keys[mask], counts[mask])

    def _fold(self) -> None:
        if not self._news:
            return
        runs = [self._whole, *self._news]
        self._news, self._news_size = [], 0
        keys = np.concatenate([run.keys for run in runs])
        counts = np.concatenate([run.counts for run in runs])
        order = np.argsort(keys, kind="stable")  # merges what is sorted already
        self._whole = _distinct(keys[order], counts[order])


def _distinct(keys: Ints, counts: Counts | None) -> Run:
    """Return sorted keys once each, with their counts added up; each stands for one when there are none."""
    if not len(keys):
        return EMPTY
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    if counts is None:
        summed = np.diff(starts, append=len(keys)).astype(np.uint32)
    else:
        summed = np.add.reduceat(counts, starts, dtype=np.uint32)
    return Run(keys[starts], summed)
