"""The metric catalogue: every metric there is, with its unit, its source and what it means.

In: nothing. Out: CATALOGUE, and the set of names that is published unless a setting says otherwise.
CloudWatch charges $0.30 a month for each metric and dimension value, so that set is small; the others are
there to be asked for. docs/metrics.md is the same table for people; a test holds the two together.
"""

# ruff: noqa: E501 - the catalogue is a table: one metric, one row

from collections.abc import Iterable
from typing import NamedTuple


class Metric(NamedTuple):
    """One metric. ``shape`` is "distribution" (percentiles) or "count" (only the sum means something)."""

    name: str
    unit: str  # a CloudWatch unit
    shape: str
    default: bool
    source: str  # the record, and its fields
    meaning: str


# fmt: off
CATALOGUE = (
    Metric("Invocations", "Count", "count", True, "Invocation", "Invocations that began"),
    Metric("ColdStarts", "Count", "count", True, "Invocation: cold", "Invocations that found a new environment; 0 beside each warm one"),
    Metric("Errors", "Count", "count", True, "Invocation: status", "Invocations that raised, timed out or died with the environment; 0 beside each good one"),
    Metric("InitMs", "Milliseconds", "distribution", True, "Init: init_ms", "The cold start, up to the imported handler"),
    Metric("DurationMs", "Milliseconds", "distribution", True, "Invocation: duration_ms", "Handler entered until handler returned"),
    Metric("CpuMs", "Milliseconds", "distribution", True, "Invocation: cpu_user_ms + cpu_system_ms", "CPU of the runtime's process during the invocation"),
    Metric("WaitMs", "Milliseconds", "distribution", True, "Invocation: wait_ms", "Duration less CPU: the time spent waiting"),
    Metric("MemoryUsedMB", "Megabytes", "distribution", True, "Invocation: peak_rss_bytes, else rss_bytes", "Highest resident memory of the function's processes during the invocation"),
    Metric("MemoryUtilization", "Percent", "distribution", True, "MemoryUsedMB, Environment: memory_mb", "The same as a share of the configured memory"),
    Metric("LingeringCount", "Count", "count", True, "Finding: changes", "Pieces of work that went on after their handler had returned; 0 beside each invocation whose return the hook has seen"),
    Metric("LingeringMs", "Milliseconds", "distribution", True, "Finding: wall_ms", "How long each of them went on, frozen time not counted, once it has ended or is lost"),
    Metric("ResumedCount", "Count", "count", True, "Finding: changes", "Lingering work that went on in a later invocation; 0 beside each finding that did not"),
    Metric("LostCount", "Count", "count", True, "Finding: changes", "Lingering work that died with the environment; 0 beside each finding that did not"),
    Metric("AfterglowOverheadMs", "Milliseconds", "count", True, "Overhead: hook_ms + agent_cpu_ms", "What Afterglow took: the hook's time in the handler's way plus the extension's CPU"),
    Metric("DroppedRecords", "Count", "count", True, "Loss: dropped", "Records and facts that Afterglow saw and could not keep; 0 where the ledger lost nothing"),
    Metric("ImportMs", "Milliseconds", "distribution", False, "Init: import_ms", "Importing the handler's module and all that it imports"),
    Metric("FrozenMs", "Milliseconds", "distribution", False, "Invocation: frozen_before_ms", "How long the environment was frozen before the invocation"),
    Metric("OpenFiles", "Count", "distribution", False, "Invocation: fds", "Open file descriptors, the highest sample: a leak climbs"),
    Metric("Threads", "Count", "distribution", False, "Invocation: threads", "Threads at the return: a leak climbs"),
    Metric("TmpUsedMB", "Megabytes", "distribution", False, "Invocation: tmp_bytes", "What is used of /tmp: it survives into the next invocation"),
    Metric("LingeringCpuMs", "Milliseconds", "distribution", False, "Finding: cpu_ms", "CPU of a piece of lingering work, once it has ended or is lost"),
    Metric("AgentMemoryMB", "Megabytes", "distribution", False, "Footprint: agent_pss_bytes", "The extension's share of the environment's memory (PSS)"),
    Metric("BytesOut", "Bytes", "count", False, "Overhead: bytes_out", "What Afterglow wrote to the log"),
)
# fmt: on

METRICS = {metric.name: metric for metric in CATALOGUE}
DEFAULT_METRICS = frozenset(metric.name for metric in CATALOGUE if metric.default)


def choose(names: Iterable[str]) -> frozenset[str]:
    """Return the names as a set; ValueError names one that is in no catalogue."""
    chosen = frozenset(names)
    unknown = sorted(chosen - METRICS.keys())
    if unknown:
        raise ValueError(f"no metric is called {unknown[0]!r}; known: {', '.join(METRICS)}")
    return chosen
