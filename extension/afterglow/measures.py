"""What each kind of record contributes to the metrics.

In: one record and its environment. Out: (metric name, value in the metric's unit) pairs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from afterglow.records import Environment, Finding, Footprint, Init, Invocation, Loss, Overhead, Record

BYTES_PER_MB = 1 << 20
"""Lambda's MB are 2**20 bytes: a 128 MB function may use 134,217,728."""


class Measure(NamedTuple):
    """What one kind of record contributes: ``values`` answers in the order of ``names``, None for unknown."""

    names: tuple[str, ...]
    values: Callable[[Environment, Any], tuple[float | None, ...]]


def _of_init(_: Environment, init: Init) -> tuple[float | None, ...]:
    return init.init_ms, init.import_ms


def _of_invocation(environment: Environment, call: Invocation) -> tuple[float | None, ...]:
    unjudged = call.status == "unknown"  # nobody saw how it ended
    unseen = call.hook_ms is None  # no hook, or no return for it to look at: what was left behind, nobody knows
    cpu_ms = memory_mb = utilization = None
    if call.cpu_user_ms is not None and call.cpu_system_ms is not None:
        cpu_ms = call.cpu_user_ms + call.cpu_system_ms
    memory_bytes = call.rss_bytes if call.peak_rss_bytes is None else call.peak_rss_bytes
    if memory_bytes is not None:
        memory_mb = memory_bytes / BYTES_PER_MB
        if environment.memory_mb:
            utilization = 100 * memory_mb / environment.memory_mb
    return (
        1,
        call.cold,
        None if unjudged else call.status != "ok",
        None if unseen else 0,  # LingeringCount: its alarms and its rate need data while all is well
        call.duration_ms,
        cpu_ms,
        call.wait_ms,
        memory_mb,
        utilization,
        call.frozen_before_ms,
        call.fds,
        call.threads,
        None if call.tmp_bytes is None else call.tmp_bytes / BYTES_PER_MB,
    )


def _of_finding(_: Environment, finding: Finding) -> tuple[float | None, ...]:
    changes = finding.changes
    over = "ended" in changes or "lost" in changes
    return (
        changes.count("lingering"),
        changes.count("resumed"),
        changes.count("lost"),
        finding.wall_ms if over else None,
        finding.cpu_ms if over else None,
    )


def _of_footprint(_: Environment, footprint: Footprint) -> tuple[float | None, ...]:
    pss_bytes = footprint.agent_pss_bytes
    return (None if pss_bytes is None else pss_bytes / BYTES_PER_MB,)


def _of_overhead(_: Environment, overhead: Overhead) -> tuple[float | None, ...]:
    return overhead.hook_ms + overhead.agent_cpu_ms, overhead.bytes_out


def _of_loss(_: Environment, loss: Loss) -> tuple[float | None, ...]:
    return (sum(loss.dropped.values()),)


MEASURES: dict[type[Record], Measure] = {
    Init: Measure(("InitMs", "ImportMs"), _of_init),
    Invocation: Measure(
        (
            *("Invocations", "ColdStarts", "Errors", "LingeringCount", "DurationMs", "CpuMs", "WaitMs"),
            *("MemoryUsedMB", "MemoryUtilization", "FrozenMs", "OpenFiles", "Threads", "TmpUsedMB"),
        ),
        _of_invocation,
    ),
    Finding: Measure(("LingeringCount", "ResumedCount", "LostCount", "LingeringMs", "LingeringCpuMs"), _of_finding),
    Footprint: Measure(("AgentMemoryMB",), _of_footprint),
    Overhead: Measure(("AfterglowOverheadMs", "BytesOut"), _of_overhead),
    Loss: Measure(("DroppedRecords",), _of_loss),
}
"""Kinds that are not here (Environment, Sample, Shutdown) carry no metric."""


def measurements(environment: Environment, record: Record) -> list[tuple[str, float]]:
    """Return the metrics that one record contributes to, with their values; unknown ones are left out."""
    measure = MEASURES.get(type(record))
    if measure is None:
        return []
    values = measure.values(environment, record)
    return [(name, value) for name, value in zip(measure.names, values, strict=True) if value is not None]
