"""Turns REPORT lines into records, for functions without the layer. In: a Report. Out: Invocation, and Init if cold.

The platform's own figures, in the schema that everything else reads: what only a hook could know is None.
"""

from collections.abc import Iterator
from typing import Any

from afterglow.endings import Evidence, ending
from afterglow.records import Init, Invocation, Record
from afterglow_collector.logs.report_line import Report

MB = 1024 * 1024


def records_of(report: Report, at_ms: int) -> Iterator[Record]:
    """Return the invocation, and before it the cold start that it waited for."""
    if report.init_ms is not None or report.restore_ms is not None:
        known: dict[str, Any] = {"init_ms": report.init_ms, "restore_ms": report.restore_ms}
        yield Init(**{**dict.fromkeys(Init._fields), "at_ms": at_ms, **known, "sources": _platform(known)})
    yield Invocation(**{**dict.fromkeys(Invocation._fields), **_invocation_fields(report, at_ms)})


def _invocation_fields(report: Report, at_ms: int) -> dict[str, Any]:
    # The text format says nothing of invocations that went well: they stay "unknown".
    status, source = ending(Evidence(hook_seen=False, platform_status=report.status, platform_error=report.error_type))
    figures = {
        "duration_ms": report.duration_ms,
        "peak_rss_bytes": report.max_memory_mb * MB,  # the environment's, of which the function is nearly all
        "billed_ms": report.billed_ms,
        "max_memory_mb": report.max_memory_mb,
    }
    return {
        "request_id": report.request_id,
        "index": 0,  # a REPORT line does not say
        "at_ms": at_ms,
        "cold": report.init_ms is not None or report.restore_ms is not None,
        "status": status,
        "error_type": report.error_type,
        **figures,
        "sources": {**_platform(figures), "status": source},
    }


def _platform(known: dict[str, Any]) -> dict[str, str]:
    return {name: "platform" for name, value in known.items() if value is not None}
