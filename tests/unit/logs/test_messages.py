"""What a log message is: a report in either format, a record, or nothing of ours; never an exception."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.logs.lines import report_json, report_text
from tests.unit.sinks.samples import invocation

from afterglow.records import Invocation, encode
from afterglow_collector.logs.message import MAX_CHARACTERS, Verdict, read_message
from afterglow_collector.logs.origin import Origin, origin_of
from afterglow_collector.logs.report_line import InitReport, Report

WARM = Report("8f507cfc-xmpl-4697-b07a-ac58fc914c95", 12.05, 13, 128, 40, None, None, "unknown", None)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (report_text(), WARM),
        (report_text(init_ms=211.01), WARM._replace(init_ms=211.01, billed_ms=224)),
        (
            report_text(extra="XRAY TraceId: 1-5e34a614-xmpl\tSegmentId: 07f5\tSampled: true\t"),
            WARM,
        ),
        (report_text(extra="Status: timeout"), WARM._replace(status="timeout")),
        (
            report_text(extra="Status: error\tError Type: Runtime.ExitError"),
            WARM._replace(status="error", error_type="Runtime.ExitError"),
        ),
        (
            report_text(extra="Restore Duration: 540.31 ms\tBilled Restore Duration: 130 ms\t"),
            WARM._replace(restore_ms=540.31),
        ),
    ],
    ids=["warm", "cold", "X-Ray", "timeout", "crash", "SnapStart"],
)
def test_report_lines_of_the_text_format(message: str, expected: Report) -> None:
    assert expected == read_message(message)


def test_report_events_of_the_json_format() -> None:
    metrics = {"initDurationMs": 211.01, "restoreDurationMs": 1.5}
    found = read_message(report_json(status="error", errorType="Runtime.Unknown", metrics=metrics))

    assert Report("8f507cfc", 12.05, 13, 128, 40, 211.01, 1.5, "error", "Runtime.Unknown") == found


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("INIT_REPORT Init Duration: 9999.87 ms\tPhase: init\tStatus: timeout", InitReport("timeout", None)),
        (
            "INIT_REPORT Init Duration: 61.02 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError",
            InitReport("error", "Runtime.ExitError"),
        ),
        ("INIT_REPORT Init Duration: 120.00 ms\tPhase: init", InitReport("unknown", None)),
        ("INIT_REPORT of the day", Verdict.BROKEN),
        (
            '{"type": "platform.initReport", "record": {"phase": "init", "status": "failure", "errorType": "X"}}',
            InitReport("failure", "X"),
        ),
        ('{"type": "platform.initReport", "record": null}', Verdict.BROKEN),
    ],
)
def test_an_init_has_a_report_of_its_own(message: str, expected: InitReport | Verdict) -> None:
    assert expected == read_message(message)


def test_a_report_with_everything_that_lambda_knows_of() -> None:
    tracing = {"spanId": "1", "type": "X-Amzn-Trace-Id", "value": "Root=1-5e34a614-xmpl;Sampled=1"}
    spans = [{"name": "responseLatency", "start": "2026-11-21T08:00:00.000Z", "durationMs": 3.2}]
    everything = {"initDurationMs": 1.0, "restoreDurationMs": 540.31, "billedRestoreDurationMs": 130}
    text = "XRAY TraceId: 1-5e34a614-xmpl\tSegmentId: 07f5\tSampled: true\tStatus: timeout\t"

    assert WARM._replace(init_ms=1.5, billed_ms=14, status="timeout") == read_message(
        report_text(init_ms=1.5, extra=text)
    )
    assert Report("8f507cfc", 12.05, 13, 128, 40, 1.0, 540.31, "success", None) == read_message(
        report_json(metrics=everything, tracing=tracing, spans=spans)
    )


def test_records_are_read_as_such() -> None:
    assert isinstance(read_message(encode(invocation())), Invocation)


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        ("START RequestId: 1 Version: $LATEST", Verdict.OTHER),
        ("", Verdict.OTHER),
        ('{"level": "INFO", "message": "I like \\"afterglow\\""}', Verdict.OTHER),
        ("[1, 2", Verdict.OTHER),
        ('["afterglow"]', Verdict.OTHER),
        ('{"afterglow": "invocation"', Verdict.BROKEN),
        ('{"afterglow": "invocation", "v": 1}', Verdict.BROKEN),
        ('{"afterglow": "hologram", "v": 9}', Verdict.BROKEN),
        ('{"type": "platform.report", "record": null}', Verdict.BROKEN),
        (report_json(metrics={"durationMs": "long"}), Verdict.BROKEN),
        (report_json(metrics={"durationMs": -1}), Verdict.BROKEN),
        ("REPORT RequestId: 1", Verdict.BROKEN),
        ("REPORT of the day", Verdict.BROKEN),
        ("REPORT RequestId: 1\tDuration: NaN ms", Verdict.BROKEN),
        ('{"afterglow": ' + "[" * 100_000, Verdict.BROKEN),
        ('{"afterglow": "' + "x" * MAX_CHARACTERS + '"}', Verdict.ENORMOUS),
        ("x" * 1_048_576, Verdict.OTHER),
    ],
)
def test_what_is_no_report_and_no_record_says_why(message: str, verdict: Verdict) -> None:
    assert verdict is read_message(message)


@given(
    st.text() | st.text().map(lambda text: "REPORT RequestId: " + text) | st.text().map(lambda t: '{"afterglow":' + t)
)
def test_no_message_raises_anything(message: str) -> None:
    read_message(message)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda c: st.dictionaries(st.text(), c)))
def test_no_report_event_raises_anything(record: object) -> None:
    read_message(json.dumps({"type": "platform.report", "record": record}))
    read_message(json.dumps({"type": "platform.report", "record": {"requestId": "r", "metrics": record}}))


@pytest.mark.parametrize(
    ("group", "stream", "expected"),
    [
        ("/aws/lambda/checkout", "2026/11/21/[$LATEST]0123", Origin("checkout", "$LATEST")),
        ("/aws/lambda/checkout", "2026/11/21/[7]0123", Origin("checkout", "7")),
        ("/shop", "2026/11/21/checkout[7]0123", Origin("checkout", "7")),
        ("/shop", "something", Origin("/shop", "$LATEST")),
    ],
)
def test_group_and_stream_tell_the_function(group: str, stream: str, expected: Origin) -> None:
    assert expected == origin_of(group, stream)
