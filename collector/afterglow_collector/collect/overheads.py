"""Overheads, added up before they are journalled: there may be one to each Invocation, and only sums are asked of them.

In: the Overheads of a batch, as they were read. Out: one OverheadSum per minute, and the Window that it stands for.
Equal to ``afterglow.aggregate``, value by value: each is rounded, or refused, before it is added.
"""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import msgspec

from afterglow.distribution import MAX_VALUE, Total
from afterglow.measures import MEASURES
from afterglow.records import Overhead
from afterglow.window import MINUTE_MS, Series, Window
from afterglow_collector.collect.forms import LAST_MS

Minute = Annotated[int, msgspec.Meta(ge=0, le=LAST_MS // MINUTE_MS)]
Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 1)]
"""As they may stand in what is read back from the disk."""

METRICS = MEASURES[Overhead].names
_VALUES: dict[str, Callable[[list[Any]], list[float]]] = {
    "AfterglowOverheadMs": lambda records: [record.hook_ms + record.agent_cpu_ms for record in records],
    "BytesOut": lambda records: [record.bytes_out for record in records],
}


class OverheadSum(NamedTuple):
    """The Overheads of one minute. ``milli`` goes with METRICS; None where nothing was added, or nobody asks."""

    minute: Minute
    records: Count
    milli: tuple[Annotated[int, msgspec.Meta(ge=0)] | None, ...]
    refused: Count  # values that no metric can hold


def add_up(records: list[Any], metrics: frozenset[str]) -> list[OverheadSum]:
    """Return the sums of each minute that the records are of."""
    of_minutes: dict[int, list[Any]] = {}
    for record in records:
        of_minutes.setdefault(record.at_ms // MINUTE_MS, []).append(record)
    return [_sum(minute, some, metrics) for minute, some in of_minutes.items()]


def _sum(minute: int, records: list[Any], metrics: frozenset[str]) -> OverheadSum:
    milli: list[int | None] = []
    refused = 0
    for name in METRICS:
        values = _VALUES[name](records) if name in metrics else []
        fit = [value for value in values if 0 <= value <= MAX_VALUE]
        milli.append(sum([round(value * 1000) for value in fit]) if fit else None)
        refused += len(values) - len(fit)
    return OverheadSum(minute, len(records), tuple(milli), refused)


def window_of(overhead: OverheadSum, series: Series) -> Window:
    """Return the window that a sum adds to its series'."""
    window = Window(overhead.minute, series)
    for name, milli in zip(METRICS, overhead.milli, strict=True):
        if milli is not None:
            total = window.totals[name] = Total()
            total.sum_milli, total.known = milli, True
    return window
