"""What an Invocation contributes to each distribution, for whole columns of them at once.

In: the columns of some fields, NaN for unknown, and the memory size of each row's environment. Out: one column
per metric. The same formulas as in ``afterglow.measures``, operation by operation, so that the doubles are the
same to the last bit; a property test holds the two together.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from afterglow.measures import BYTES_PER_MB
from afterglow_collector.collect.binning import Floats

Columns = dict[str, Floats]


class Formula(NamedTuple):
    """One metric: the fields of Invocation that it needs, and how it comes from them."""

    fields: tuple[str, ...]
    values: Callable[[Columns], Floats]


def _used_mb(columns: Columns) -> Floats:
    peak, now = columns["peak_rss_bytes"], columns["rss_bytes"]
    used: Floats = np.where(np.isnan(peak), now, peak) / BYTES_PER_MB
    return used


def _utilization(columns: Columns) -> Floats:
    return 100 * _used_mb(columns) / columns[MEMORY_MB]


MEMORY_MB = "memory_mb"
"""The column that is no field of Invocation: its environment's memory size, NaN when it is not known."""

FORMULAS: dict[str, Formula] = {
    "DurationMs": Formula(("duration_ms",), lambda columns: columns["duration_ms"]),
    "CpuMs": Formula(("cpu_user_ms", "cpu_system_ms"), lambda c: c["cpu_user_ms"] + c["cpu_system_ms"]),
    "WaitMs": Formula(("wait_ms",), lambda columns: columns["wait_ms"]),
    "MemoryUsedMB": Formula(("peak_rss_bytes", "rss_bytes"), _used_mb),
    "MemoryUtilization": Formula(("peak_rss_bytes", "rss_bytes"), _utilization),
    "FrozenMs": Formula(("frozen_before_ms",), lambda columns: columns["frozen_before_ms"]),
    "OpenFiles": Formula(("fds",), lambda columns: columns["fds"]),
    "Threads": Formula(("threads",), lambda columns: columns["threads"]),
    "TmpUsedMB": Formula(("tmp_bytes",), lambda columns: columns["tmp_bytes"] / BYTES_PER_MB),
}

TOTALS = ("Invocations", "ColdStarts", "Errors", "LingeringCount")
"""The counts that each Invocation contributes to; they are added up a batch at a time."""
