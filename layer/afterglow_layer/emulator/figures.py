"""The figures of an invocation: how it ended, what it took, what is billed.

In: durations and sizes. Out: records, and the REPORT line. Pure.
"""

import math
from typing import NamedTuple


class Ending(NamedTuple):
    """How a phase or an invocation ended: success, error, failure or timeout, and for what."""

    status: str
    error_type: str | None = None


SUCCESS = Ending("success")
TIMED_OUT = Ending("timeout")


class Span(NamedTuple):
    """One stretch of an invocation; ``start_epoch_ms`` is what the wire shows as ISO time."""

    name: str
    start_epoch_ms: float
    duration_ms: float


class Report(NamedTuple):
    """The figures of platform.report and of the REPORT line."""

    duration_ms: float
    billed_ms: int
    memory_mb: int
    max_memory_mb: int | None  # None: no process could be read
    init_ms: float | None = None
    restore_ms: float | None = None


def billed_ms(duration_ms: float, init_ms: float | None, *, bill_init: bool) -> int:
    """Return what is billed: the duration and, since 2025-08-01, the init before it, rounded up to 1 ms."""
    return math.ceil(duration_ms + (init_ms or 0.0 if bill_init else 0.0))


def report_line(request_id: str, ending: Ending, figures: Report) -> str:
    """Return the REPORT line that ends up in the function's log group."""
    parts = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {figures.duration_ms:.2f} ms",
        f"Billed Duration: {figures.billed_ms} ms",
        f"Memory Size: {figures.memory_mb} MB",
        "" if figures.max_memory_mb is None else f"Max Memory Used: {figures.max_memory_mb} MB",
        "" if figures.init_ms is None else f"Init Duration: {figures.init_ms:.2f} ms",
        "" if figures.restore_ms is None else f"Restore Duration: {figures.restore_ms:.2f} ms",
        "" if ending.status == "success" else f"Status: {ending.status}",
        "" if ending.error_type is None else f"Error Type: {ending.error_type}",
    ]
    return "\t".join(part for part in parts if part)
