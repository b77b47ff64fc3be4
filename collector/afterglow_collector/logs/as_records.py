"""Turns REPORT lines into records, for functions without the layer. In: a Report. Out: Invocation, and Init if cold.

The platform's own figures, in the schema that everything else reads: what only a hook could know is None.
"""

from collections.abc import Iterator

from afterglow.records import Init, Invocation, Record
from afterglow_collector.logs.report_line import Report

MB = 1024 * 1024

STATUS = {"success": "ok", "error": "error", "failure": "error", "timeout": "unfinished"}
"""A report's status by ours; the text format says nothing of invocations that went well, hence "unknown"."""


def records_of(report: Report, at_ms: int) -> Iterator[Record]:
    """Return the invocation, and before it the cold start that it waited for."""
    if report.init_ms is not None:
        yield Init(
            at_ms=at_ms,
            init_ms=report.init_ms,
            extension_ms=None,
            runtime_boot_ms=None,
            hook_ms=None,
            import_ms=None,
            import_cpu_ms=None,
            error_type=None,
            sources={"init_ms": "platform"},
        )
    yield Invocation(
        request_id=report.request_id,
        index=0,
        at_ms=at_ms,
        cold=report.init_ms is not None or report.restore_ms is not None,
        status=STATUS.get(report.status, "unknown"),
        error_type=report.error_type,
        duration_ms=report.duration_ms,
        cpu_user_ms=None,
        cpu_system_ms=None,
        wait_ms=None,
        rss_bytes=None,
        peak_rss_bytes=report.max_memory_mb * MB,
        threads=None,
        fds=None,
        children=None,
        tmp_bytes=None,
        frozen_before_ms=None,
        hook_ms=None,
        agent_cpu_ms=None,
        sources={"duration_ms": "platform", "peak_rss_bytes": "platform"},
    )
