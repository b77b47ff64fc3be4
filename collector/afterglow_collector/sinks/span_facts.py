"""What a span says of its record. In: a record. Out: plain values by name, the unknown ones left out.

Names are letters, digits and underscores: all that an X-Ray annotation may be called.
"""

from collections.abc import Mapping
from math import isfinite
from pathlib import PurePosixPath

from afterglow.records import Environment, Finding, Init, Invocation

MB = 1024 * 1024

Attributes = Mapping[str, str | int | float | bool]


def init_facts(environment: Environment, init: Init) -> Attributes:
    """Return the phases of a cold start."""
    return _known(
        init_type=environment.init_type,
        init_ms=init.init_ms,
        runtime_boot_ms=init.runtime_boot_ms,
        import_ms=init.import_ms,
        import_cpu_ms=init.import_cpu_ms,
        error_type=init.error_type,
    )


def invocation_facts(record: Invocation) -> Attributes:
    """Return what an invocation took."""
    peak_bytes = record.peak_rss_bytes
    return _known(
        request_id=record.request_id,
        cold=record.cold,
        status=record.status,
        error_type=record.error_type,
        duration_ms=record.duration_ms,
        cpu_ms=_sum(record.cpu_user_ms, record.cpu_system_ms),
        memory_mb=None if peak_bytes is None else peak_bytes / MB,
        frozen_before_ms=record.frozen_before_ms,
    )


def finding_facts(record: Finding) -> Attributes:
    """Return what went on after the return, where it came from and how it ended."""
    return _known(
        finding=record.kind,
        what=record.what,
        call_site=call_site(record),
        function=record.function,
        request_id=record.request_id,
        state=record.state,
        outcome=record.outcome,
        reason=record.reason,
        resumed_in=record.resumed_in,
        frozen_ms=record.frozen_ms,
        cpu_ms=record.cpu_ms,
        wall_ms=record.wall_ms,
        jobs=record.jobs,
    )


def call_site(record: Finding) -> str | None:
    """Return ``app.py:14``, short enough to be searched for."""
    return None if record.file is None else f"{PurePosixPath(record.file).name}:{record.line}"


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _known(**values: str | float | bool | None) -> Attributes:
    return {name: value for name, value in values.items() if value is not None and not _is_endless(value)}


def _is_endless(value: str | float | bool) -> bool:
    """Return whether it is a number that JSON cannot say: a sum of what was too large already."""
    return isinstance(value, float) and not isfinite(value)
