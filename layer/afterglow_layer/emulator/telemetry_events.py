"""The records of the Telemetry API's events, as pure builders.

In: figures. Out: ``{"time", "type", "record"}``. Shapes are those of the Lambda docs' "Telemetry API Event
schema reference" and of RIE source, interop/events_api.go. The platform records are the same in all three
schemas; what 2022-12-13 brought are JSON objects as log records (``in_schema``).
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from afterglow_layer.emulator import facts
from afterglow_layer.emulator.environ import log_stream
from afterglow_layer.emulator.figures import Ending, Report, Span
from afterglow_layer.emulator.settings import LambdaSettings

Record = dict[str, Any]


def iso_time(epoch_ms: float) -> str:
    """Return ``2026-01-31T12:00:00.000Z`` (RIE source, telemetry/constants.go, TimeFormat)."""
    moment = datetime.fromtimestamp(epoch_ms / 1000, timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def event(event_type: str, record: Any, at_epoch_ms: float) -> dict[str, Any]:
    """Return one event as it stands in a batch."""
    return {"time": iso_time(at_epoch_ms), "type": event_type, "record": record}


def category(event_type: str) -> str:
    """Return which of the subscription's ``types`` an event belongs to."""
    return event_type.partition(".")[0]


def in_schema(telemetry: Mapping[str, Any], schema: str) -> dict[str, Any]:
    """Return the event as subscribers of ``schema`` get it: JSON log lines are strings in the oldest."""
    record = telemetry["record"]
    is_log = telemetry["type"] in ("function", "extension")
    if is_log and not isinstance(record, str) and schema < facts.SCHEMAS[1]:
        return {**telemetry, "record": json.dumps(record)}
    return dict(telemetry)


def log_record(line: str, log_format: str) -> Any:
    """Return a log line as its record: the decoded object when the function logs JSON and the line is one."""
    if log_format != "JSON":
        return line
    try:
        decoded = json.loads(line)
    except ValueError:
        return line
    return decoded if isinstance(decoded, dict) else line


def init_start(settings: LambdaSettings, phase: str) -> Record:
    """platform.initStart; ``phase`` is ``init``, or ``invoke`` for an init inside an invocation."""
    return {
        "initializationType": settings.init_type.value,
        "phase": phase,
        "runtimeVersion": "",  # RIE leaves both empty as well.
        "runtimeVersionArn": "",
        **_instance(settings),
    }


def restore_start(settings: LambdaSettings) -> Record:
    """platform.restoreStart."""
    return {"runtimeVersion": "", "runtimeVersionArn": "", **_instance(settings)}


def _instance(settings: LambdaSettings) -> Record:
    return {
        "functionName": settings.function_name,
        "functionVersion": settings.function_version,
        "instanceId": log_stream(settings),
        "instanceMaxMemory": settings.memory_mb * 1024 * 1024,
    }


def init_runtime_done(settings: LambdaSettings, phase: str, ending: Ending) -> Record:
    """platform.initRuntimeDone."""
    return {"initializationType": settings.init_type.value, "phase": phase, **_ending(ending)}


def init_report(settings: LambdaSettings, phase: str, ending: Ending, duration_ms: float) -> Record:
    """platform.initReport."""
    done = init_runtime_done(settings, phase, ending)
    return {**done, "metrics": {"durationMs": _ms(duration_ms)}}


def extension(name: str, state: str, events: Sequence[str], error_type: str | None) -> Record:
    """platform.extension: once per extension, at the end of each init."""
    error = {"errorType": error_type} if error_type else {}
    return {"name": name, "state": state, "events": list(events), **error}


def subscription(name: str, types: Sequence[str]) -> Record:
    """platform.telemetrySubscription."""
    return {"name": name, "state": "Subscribed", "types": list(types)}


def start(request_id: str, version: str, trace: str | None) -> Record:
    """platform.start."""
    return {"requestId": request_id, "version": version, **_tracing(trace)}


def runtime_done(
    request_id: str,
    ending: Ending,
    *,
    duration_ms: float,
    produced_bytes: int,
    spans: Sequence[Span],
    trace: str | None,
) -> Record:
    """platform.runtimeDone."""
    metrics = {"durationMs": _ms(duration_ms), "producedBytes": produced_bytes}
    return {
        "requestId": request_id,
        **_ending(ending),
        "metrics": metrics,
        **_spans(spans),
        **_tracing(trace),
    }


def report(request_id: str, ending: Ending, figures: Report, spans: Sequence[Span], trace: str | None) -> Record:
    """platform.report."""
    metrics: dict[str, float] = {
        "durationMs": _ms(figures.duration_ms),
        "billedDurationMs": figures.billed_ms,
        "memorySizeMB": figures.memory_mb,
    }
    optional = {
        "maxMemoryUsedMB": figures.max_memory_mb,
        "initDurationMs": figures.init_ms,
        "restoreDurationMs": figures.restore_ms,
    }
    metrics.update({key: _ms(value) for key, value in optional.items() if value is not None})
    return {
        "requestId": request_id,
        **_ending(ending),
        "metrics": metrics,
        **_spans(spans),
        **_tracing(trace),
    }


def managed_report(
    request_id: str, ending: Ending, duration_ms: float, spans: Sequence[Span], trace: str | None
) -> Record:
    """platform.report on Managed Instances: a duration and spans, no bill (RIE source, events_api.go)."""
    metrics = {"durationMs": _ms(duration_ms)}
    return {
        "requestId": request_id,
        **_ending(ending),
        "metrics": metrics,
        **_spans(spans),
        **_tracing(trace),
    }


def restore_runtime_done(ending: Ending) -> Record:
    """platform.restoreRuntimeDone."""
    return _ending(ending)


def restore_report(ending: Ending, duration_ms: float) -> Record:
    """platform.restoreReport."""
    return {**_ending(ending), "metrics": {"durationMs": _ms(duration_ms)}}


def logs_dropped(dropped_bytes: int, dropped_records: int, reason: str) -> Record:
    """platform.logsDropped."""
    return {"droppedBytes": dropped_bytes, "droppedRecords": dropped_records, "reason": reason}


def _ending(ending: Ending) -> Record:
    error = {} if ending.error_type is None else {"errorType": ending.error_type}
    return {"status": ending.status, **error}


def _spans(spans: Sequence[Span]) -> Record:
    shown = [
        {"name": span.name, "start": iso_time(span.start_epoch_ms), "durationMs": _ms(span.duration_ms)}
        for span in spans
    ]
    return {"spans": shown} if shown else {}


def _tracing(trace: str | None) -> Record:
    return {} if trace is None else {"tracing": {"type": "X-Amzn-Trace-Id", "value": trace}}


def _ms(value: float) -> float:
    return value if isinstance(value, int) else round(value, 3)
