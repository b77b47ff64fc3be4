"""What the Telemetry API says, translated: documented shapes, and whatever else may come."""

from typing import Any

import pytest

from afterglow.platform import Said, translate

ABOUT = {"requestId": "r-1"}


@pytest.mark.parametrize(
    ("event_type", "record", "said"),
    [
        (
            "platform.initStart",
            {"initializationType": "snap-start", "phase": "init"},
            Said("init", {"init_type": "snap-start", "phase": "init"}),
        ),
        (
            "platform.initRuntimeDone",
            {"status": "error", "errorType": "Runtime.ImportModuleError"},
            Said("init", {"status": "error", "error_type": "Runtime.ImportModuleError"}),
        ),
        ("platform.initReport", {"metrics": {"durationMs": 70.5}}, Said("init", {"platform_init_ms": 70.5})),
        ("platform.restoreRuntimeDone", {"status": "success"}, Said("restore", {})),
        (
            "platform.restoreRuntimeDone",
            {"status": "error", "errorType": "Runtime.AfterRestoreError"},
            Said("restore", {"error_type": "Runtime.AfterRestoreError"}),
        ),
        (
            "platform.restoreReport",
            {"status": "success", "metrics": {"durationMs": 12.5}},
            Said("restore", {"restore_ms": 12.5}),
        ),
        ("platform.start", ABOUT, Said("r-1", {"started": True})),
        (
            "platform.runtimeDone",
            {
                **ABOUT,
                "status": "success",
                "metrics": {"durationMs": 3.5, "producedBytes": 7},
                "spans": [{"name": "responseLatency", "durationMs": 3.1}, {"name": "else", "durationMs": 1}, "?"],
            },
            Said(
                "r-1",
                {
                    "runtime_done": True,
                    "status": "success",
                    "duration_ms": 3.5,
                    "produced_bytes": 7,
                    "response_latency_ms": 3.1,
                },
            ),
        ),
        (
            "platform.report",
            {**ABOUT, "metrics": {"billedDurationMs": 4, "maxMemoryUsedMB": 40, "durationMs": 3.6}},
            Said("r-1", {"reported": True, "billed_ms": 4, "max_memory_mb": 40, "platform_ms": 3.6}),
        ),
        (
            "platform.logsDropped",
            {"reason": "slow", "droppedRecords": 12, "droppedBytes": 900},
            Said("logs", {"reason": "slow", "count": 12}),
        ),
    ],
)
def test_what_is_documented_is_said(event_type: str, record: dict[str, Any], said: Said) -> None:
    assert said == translate({"type": event_type, "record": record})


@pytest.mark.parametrize(
    "event",
    [
        {"type": "platform.restoreStart", "record": {"functionName": "f"}},
        {"type": "platform.extension", "record": {"name": "other", "state": "Ready", "events": ["INVOKE"]}},
        {"type": "platform.telemetrySubscription", "record": {"name": "other", "state": "Subscribed"}},
        {"type": "platform.tomorrow", "record": {}},
        {"type": "platform.report", "record": "a line of text"},
        {"type": "platform.report", "record": {"metrics": {"durationMs": 3.6}}},
        {"type": "platform.start", "record": {"requestId": 7}},
    ],
)
def test_what_says_nothing_to_a_record_is_none(event: dict[str, Any]) -> None:
    assert translate(event) is None


@pytest.mark.parametrize("duration", [-1, "3.5", None, True, [], {}])
def test_a_figure_that_is_no_number_is_left_out_and_never_guessed(duration: object) -> None:
    record = {**ABOUT, "status": "success", "metrics": {"durationMs": duration}}

    assert Said("r-1", {"runtime_done": True, "status": "success"}) == translate(
        {"type": "platform.runtimeDone", "record": record}
    )
