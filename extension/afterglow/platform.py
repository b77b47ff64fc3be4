"""What the Telemetry API's events say, translated. In: one event. Out: a Said, or None for what says nothing to us.

Pure. Field names and shapes: Lambda docs, "Telemetry API Event schema reference"; the platform records are the
same in all three schemas. Anything that is not as documented becomes None, never a guess.
"""

from typing import Any, NamedTuple

from afterglow.facts import cut

MOST_NUMBER = 1 << 53  # milliseconds, megabytes, bytes: what is more was not measured


class Said(NamedTuple):
    """One statement of the platform's. ``about`` is a request id, ``init``, ``restore`` or ``logs``."""

    about: str
    fields: dict[str, Any]


def translate(event: dict[str, Any]) -> Said | None:
    """Return what the event says; unknown types, and types that tell us nothing, are None."""
    record = event.get("record")
    reader = _READERS.get(event["type"])
    return reader(record) if reader is not None and isinstance(record, dict) else None


def _number(value: Any) -> float | None:
    return value if type(value) in (int, float) and 0 <= value <= MOST_NUMBER else None


def _text(value: Any) -> str | None:
    return cut(value) if isinstance(value, str) and value else None


def _metrics(record: dict[str, Any]) -> dict[str, Any]:
    metrics = record.get("metrics")
    return metrics if isinstance(metrics, dict) else {}


def _spans(record: dict[str, Any]) -> dict[str, float | None]:
    spans = record.get("spans")
    named = {}
    for span in spans if isinstance(spans, list) else []:
        if isinstance(span, dict) and span.get("name") in _SPANS:
            named[_SPANS[span["name"]]] = _number(span.get("durationMs"))
    return named


_SPANS = {
    "responseLatency": "response_latency_ms",
    "responseDuration": "response_duration_ms",
    "runtimeOverhead": "runtime_overhead_ms",
}


def _invocation(record: dict[str, Any], fields: dict[str, Any]) -> Said | None:
    request_id = _text(record.get("requestId"))
    known = {name: value for name, value in fields.items() if value is not None}
    return Said(request_id, known) if request_id else None


def _start(record: dict[str, Any]) -> Said | None:
    return _invocation(record, {"started": True})


def _runtime_done(record: dict[str, Any]) -> Said | None:
    metrics = _metrics(record)
    return _invocation(
        record,
        {
            "runtime_done": True,
            "status": _text(record.get("status")),
            "error_type": _text(record.get("errorType")),
            "duration_ms": _number(metrics.get("durationMs")),
            "produced_bytes": _number(metrics.get("producedBytes")),
            **_spans(record),
        },
    )


def _report(record: dict[str, Any]) -> Said | None:
    metrics = _metrics(record)
    return _invocation(
        record,
        {
            "reported": True,
            "status": _text(record.get("status")),
            "error_type": _text(record.get("errorType")),
            "billed_ms": _number(metrics.get("billedDurationMs")),
            "max_memory_mb": _number(metrics.get("maxMemoryUsedMB")),
            "platform_ms": _number(metrics.get("durationMs")),
            **_spans(record),
        },
    )


def _init(record: dict[str, Any]) -> Said:
    fields = {
        "init_type": _text(record.get("initializationType")),
        "phase": _text(record.get("phase")),
        "status": _text(record.get("status")),
        "error_type": _text(record.get("errorType")),
        "platform_init_ms": _number(_metrics(record).get("durationMs")),
    }
    return Said("init", {name: value for name, value in fields.items() if value is not None})


def _restore(record: dict[str, Any]) -> Said:
    fields = {
        "error_type": _text(record.get("errorType")),  # of a hook that is to run after a restore
        "restore_ms": _number(_metrics(record).get("durationMs")),
    }
    return Said("restore", {name: value for name, value in fields.items() if value is not None})


def _logs_dropped(record: dict[str, Any]) -> Said:
    return Said("logs", {"reason": _text(record.get("reason")), "count": _number(record.get("droppedRecords")) or 0})


_READERS = {
    "platform.initStart": _init,
    "platform.initRuntimeDone": _init,
    "platform.initReport": _init,
    "platform.start": _start,
    "platform.runtimeDone": _runtime_done,
    "platform.report": _report,
    "platform.restoreRuntimeDone": _restore,
    "platform.restoreReport": _restore,
    "platform.logsDropped": _logs_dropped,
}
"""restoreStart, extension and telemetrySubscription are not here: no record has a place for what they say."""
