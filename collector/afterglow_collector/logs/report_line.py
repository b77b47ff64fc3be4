"""Reads Lambda's own report of an invocation. In: one log message. Out: a Report, or None if it is none.

Two forms (Lambda developer guide, "Log and report formats"): the text format's tab-separated line

    REPORT RequestId: 8f5…  Duration: 12.05 ms  Billed Duration: 13 ms  Memory Size: 128 MB  Max Memory Used: 40 MB
    Init Duration: 211.01 ms    Status: timeout

and the JSON format's ``{"time": …, "type": "platform.report", "record": {"requestId": …, "metrics": {…}}}``, which is
the Telemetry API's event as well. A field that is not there is None.

An Init that did not succeed has a line of its own, once for each try, with no invocation's id in it:

    INIT_REPORT Init Duration: 9999.87 ms   Phase: init   Status: timeout

or ``platform.initReport`` with ``{"phase", "status", "errorType", "metrics": {"durationMs"}}``.
"""

import re
from typing import Any, NamedTuple

FIELD = re.compile(r"([A-Z][A-Za-z]*(?: [A-Z][A-Za-z]*)*): ([^\t\n]+)")
NUMBER = re.compile(r"(\d+(?:\.\d+)?) (?:ms|MB)\Z")


class Report(NamedTuple):
    """What Lambda says that one invocation took."""

    request_id: str
    duration_ms: float
    billed_ms: int
    memory_mb: int
    max_memory_mb: int
    init_ms: float | None  # None: no cold start, or one that provisioned concurrency or SnapStart has hidden
    restore_ms: float | None  # SnapStart
    status: str  # success, error, timeout, failure; unknown where the line does not say
    error_type: str | None


class InitReport(NamedTuple):
    """What Lambda says of one try of an Init."""

    status: str  # as in Report
    error_type: str | None


def report_of_text(message: str) -> Report | None:
    """Return what a REPORT line says."""
    if not message.startswith("REPORT RequestId: "):
        return None
    fields = dict(FIELD.findall(message[len("REPORT ") :]))
    duration, billed = _number(fields, "Duration"), _number(fields, "Billed Duration")
    memory, used = _number(fields, "Memory Size"), _number(fields, "Max Memory Used")
    if duration is None or billed is None or memory is None or used is None:
        return None
    return Report(
        fields["RequestId"].strip(),
        duration,
        int(billed),
        int(memory),
        int(used),
        _number(fields, "Init Duration"),
        _number(fields, "Restore Duration"),
        fields.get("Status", "unknown").strip(),
        fields.get("Error Type", "").strip() or None,
    )


def report_of_json(document: dict[str, Any]) -> Report | None:
    """Return what a ``platform.report`` event says."""
    record = document.get("record")
    metrics = record.get("metrics") if isinstance(record, dict) else None
    if document.get("type") != "platform.report" or not isinstance(record, dict) or not isinstance(metrics, dict):
        return None
    numbers = [metrics.get(name) for name in ("durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB")]
    request_id = record.get("requestId")
    if not isinstance(request_id, str) or not all(_is_amount(number) for number in numbers):
        return None
    duration, billed, memory, used = numbers
    return Report(
        request_id,
        float(duration),  # type: ignore[arg-type]  # checked just before, as are the three below
        int(billed),  # type: ignore[arg-type]
        int(memory),  # type: ignore[arg-type]
        int(used),  # type: ignore[arg-type]
        _optional(metrics.get("initDurationMs")),
        _optional(metrics.get("restoreDurationMs")),
        str(record.get("status", "unknown")),
        str(record["errorType"]) if record.get("errorType") else None,
    )


def init_report_of_text(message: str) -> InitReport | None:
    """Return what an INIT_REPORT line says."""
    fields = dict(FIELD.findall(message[len("INIT_REPORT ") :]))
    if "Init Duration" not in fields:
        return None
    return InitReport(fields.get("Status", "unknown").strip(), fields.get("Error Type", "").strip() or None)


def init_report_of_json(document: dict[str, Any]) -> InitReport | None:
    """Return what a ``platform.initReport`` event says."""
    record = document.get("record")
    if not isinstance(record, dict):
        return None
    return InitReport(
        str(record.get("status", "unknown")), str(record["errorType"]) if record.get("errorType") else None
    )


def _number(fields: dict[str, str], name: str) -> float | None:
    match = NUMBER.match(fields.get(name, "").strip())
    return float(match[1]) if match else None


def _is_amount(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e15  # type: ignore[operator]  # narrowed by type() just before


def _optional(value: object) -> float | None:
    return float(value) if _is_amount(value) else None  # type: ignore[arg-type]  # a number, as just checked
