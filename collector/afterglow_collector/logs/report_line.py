"""Reads Lambda's own report of an invocation. In: one log message. Out: a Report, or None if it is none.

Two forms (Lambda developer guide, "Log and report formats"): the text format's tab-separated line

    REPORT RequestId: 8f5…  Duration: 12.05 ms  Billed Duration: 13 ms  Memory Size: 128 MB  Max Memory Used: 40 MB
    Init Duration: 211.01 ms    Status: timeout

and the JSON format's ``{"time": …, "type": "platform.report", "record": {"requestId": …, "metrics": {…}}}``, which is
the Telemetry API's event as well. A field that is not there is None.

An Init that did not succeed has a line of its own, once for each try, with no invocation's id in it:

    INIT_REPORT Init Duration: 9999.87 ms   Phase: init   Status: timeout

or ``platform.initReport`` with ``{"phase", "status", "errorType", "metrics": {"durationMs"}}``. A restore from a
snapshot has RESTORE_REPORT and ``platform.restoreReport``.

Nothing shows that a line is Lambda's own: a function may print the same. So what no invocation can have taken is no
report: more than 15 minutes, more than 10,240 MB.
"""

import re
from typing import Any, NamedTuple

from afterglow_collector.plausible import is_utf8

MAX_CHARACTERS = 4096  # a report with X-Ray's fields has some 300
MAX_MS = 900_000 + 60_000  # a function's longest timeout, and a minute: billed duration holds Init, and is rounded up
MAX_MEMORY_MB = 10_240
MAX_NAME = 256  # characters of an id, a status, an error's class

NUMBER = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) (?:ms|MB)\Z")

FIELDS = (
    ("Duration", "durationMs"),
    ("Billed Duration", "billedDurationMs"),
    ("Memory Size", "memorySizeMB"),
    ("Max Memory Used", "maxMemoryUsedMB"),
    ("Init Duration", "initDurationMs"),
    ("Restore Duration", "restoreDurationMs"),
)
"""The figures, by their names in both formats; a report need not have the last two."""


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
    fields = _fields(message, "REPORT ")
    return _report(
        fields["RequestId"],
        [_number(fields, name) for name, _ in FIELDS],
        fields.get("Status", "unknown"),
        fields.get("Error Type") or None,
    )


def report_of_json(document: dict[str, Any]) -> Report | None:
    """Return what a ``platform.report`` event says."""
    record = document.get("record")
    metrics = record.get("metrics") if isinstance(record, dict) else None
    if document.get("type") != "platform.report" or not isinstance(record, dict) or not isinstance(metrics, dict):
        return None
    return _report(
        record.get("requestId"),
        [metrics.get(name) for _, name in FIELDS],
        str(record.get("status", "unknown")),
        str(record["errorType"]) if record.get("errorType") else None,
    )


def init_report_of_text(message: str) -> InitReport | None:
    """Return what an INIT_REPORT line says, or a RESTORE_REPORT."""
    kind, _, _ = message.partition(" ")
    fields = _fields(message, f"{kind} ")
    if "Init Duration" not in fields and "Restore Duration" not in fields:
        return None
    return InitReport(fields.get("Status", "unknown"), fields.get("Error Type") or None)


def init_report_of_json(document: dict[str, Any]) -> InitReport | None:
    """Return what a ``platform.initReport`` event says, or a ``platform.restoreReport``."""
    record = document.get("record")
    if not isinstance(record, dict):
        return None
    return InitReport(
        str(record.get("status", "unknown")), str(record["errorType"]) if record.get("errorType") else None
    )


def _fields(message: str, head: str) -> dict[str, str]:
    """Return what stands between the tabs, by name; a line that is longer than any report has nothing."""
    if len(message) > MAX_CHARACTERS:
        return {"RequestId": ""}
    parts = (part.partition(": ") for part in message[len(head) :].replace("\n", "\t").split("\t"))
    return {name.strip(): value.strip() for name, _, value in parts}


def _report(request_id: object, numbers: list[Any], status: str, error_type: str | None) -> Report | None:
    """Return the report if all of it can be: whatever a function prints may look like one."""
    duration, billed, memory, used, init, restore = numbers
    needed = (duration, MAX_MS), (billed, MAX_MS), (memory, MAX_MEMORY_MB), (used, MAX_MEMORY_MB)
    if not all(_is_amount(number, most) for number, most in needed):
        return None
    if not all(number is None or _is_amount(number, MAX_MS) for number in (init, restore)):
        return None
    if not isinstance(request_id, str) or not all(map(_is_name, (request_id, status, error_type or "-"))):
        return None
    init_ms, restore_ms = (None if number is None else float(number) for number in (init, restore))
    figures = float(duration), int(billed), int(memory), int(used), init_ms, restore_ms
    return Report(request_id, *figures, status, error_type)


def _number(fields: dict[str, str], name: str) -> float | str | None:
    """Return a field's number; its text if it is none, and None where it is missing."""
    text = fields.get(name)
    match = NUMBER.match(text) if text is not None else None
    return float(match[1]) if match else text


def _is_amount(value: object, most: float) -> bool:
    return type(value) in (int, float) and 0 <= value <= most  # type: ignore[operator]  # narrowed by type() just before


def _is_name(text: str) -> bool:
    return 0 < len(text) <= MAX_NAME and is_utf8(text)
