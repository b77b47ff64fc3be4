"""What a log message is: a report in either format, a record, or nothing of ours; never an exception."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.logs.lines import report_json, report_text
from tests.unit.sinks.samples import ENVIRONMENT, NOW_MS, finding, invocation

from afterglow.emf import Emitter
from afterglow.metrics import DEFAULT_METRICS
from afterglow.records import Invocation, encode
from afterglow_collector.logs.as_records import records_of
from afterglow_collector.logs.fetch import LogEvent
from afterglow_collector.logs.message import MAX_CHARACTERS, Verdict, read_message
from afterglow_collector.logs.origin import Origin, origin_of
from afterglow_collector.logs.pipeline import Pipeline
from afterglow_collector.logs.report_line import InitReport, Report
from afterglow_collector.logs.statistics import Statistics
from afterglow_collector.logs.statistics_state import from_state, to_state
from afterglow_collector.logs.subscription import Delivery
from afterglow_collector.plausible import is_plausible

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


NINES = "9" * 400


def forged(**changed: str) -> str:
    """Return a REPORT line that a function prints itself."""
    fields = {"Duration": "1 ms", "Billed Duration": "2 ms", "Memory Size": "128 MB", "Max Memory Used": "5 MB"}
    named = {name.replace("_", " "): value for name, value in changed.items()}
    return "REPORT RequestId: x\t" + "\t".join(f"{name}: {value}" for name, value in {**fields, **named}.items())


@pytest.mark.parametrize(
    "message",
    [
        forged(Billed_Duration=f"{NINES} ms"),
        forged(Duration=f"{NINES}.5 ms"),
        forged(Memory_Size=f"{NINES} MB"),
        forged(Max_Memory_Used=f"{NINES} MB"),
        forged(Init_Duration=f"{NINES} ms"),
        forged(Restore_Duration="1000000 ms"),
        forged(Billed_Duration="960001 ms"),
        forged(Memory_Size="10241 MB"),
        forged(Max_Memory_Used="10241 MB"),
        forged(Duration="-1 ms"),
        forged(Duration="1e3 ms"),
        forged(Duration="1 s"),
        forged(Duration="\u0661 ms"),
        forged(Init_Duration="soon"),
        forged(Status="x" * 1000),
        forged(Error_Type="\ud800"),
        forged().replace("x\t", "y" * 300 + "\t"),
        forged().replace("x\t", "\t"),
        "REPORT RequestId: " + "A " * 130_000,
        "REPORT RequestId: " + "A: " * 80_000,
        "INIT_REPORT " + "A " * 130_000,
        report_json(metrics={"billedDurationMs": 10**400}),
        report_json(metrics={"billedDurationMs": 960_001}),
        report_json(metrics={"durationMs": 1e300}),
        report_json(metrics={"memorySizeMB": 1 << 40}),
        report_json(metrics={"maxMemoryUsedMB": True}),
        report_json(metrics={"initDurationMs": 1e15}),
        report_json(metrics={"restoreDurationMs": -1}),
        report_json(requestId="x" * 300),
        report_json(requestId="\ud800"),
        report_json(status="x" * 300),
        report_json(errorType=["x"] * 300),
        encode(invocation(rss_bytes=10**400)),
        encode(invocation(peak_rss_bytes=1 << 60)),
        encode(invocation(status="x" * 2000)),
        encode(invocation(error_type="\udc80")),
        encode(invocation(at_ms=10**300)),
        encode(ENVIRONMENT._replace(memory_mb=10**400)),
        encode(ENVIRONMENT._replace(function="\ud800")),
    ],
)
def test_what_no_invocation_can_have_taken_is_no_report(message: str) -> None:
    began_s = time.process_time()

    assert Verdict.BROKEN is read_message(message)
    assert time.process_time() - began_s < 1, "a line that is long must not take long"


@pytest.mark.parametrize(
    "message",
    [
        forged(),
        forged(Duration="900000.00 ms", Billed_Duration="900000 ms", Memory_Size="10240 MB"),
        forged(Billed_Duration="915000 ms", Init_Duration="15000.00 ms"),
        forged(Max_Memory_Used="129 MB"),
        report_json(metrics={"durationMs": 900_000, "billedDurationMs": 900_000, "memorySizeMB": 10_240}),
    ],
)
def test_what_lambda_allows_is_one(message: str) -> None:
    assert isinstance(read_message(message), Report)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("RESTORE_REPORT Restore Duration: 529.83 ms", InitReport("unknown", None)),
        ("RESTORE_REPORT Restore Duration: 10015.36 ms\tStatus: timeout", InitReport("timeout", None)),
        ("RESTORE_REPORT of the day", Verdict.BROKEN),
        (
            '{"type": "platform.restoreReport", "record": {"status": "failure", "errorType": "X"}}',
            InitReport("failure", "X"),
        ),
    ],
)
def test_a_restore_that_failed_is_one_of_init(message: str, expected: InitReport | Verdict) -> None:
    assert expected == read_message(message)


numbers = st.integers().map(str) | st.floats().map(str) | st.from_regex(r"[0-9]{1,40}(\.[0-9]{1,20})?", fullmatch=True)
texts = st.text(st.characters(exclude_categories=()), max_size=40)
fields = st.dictionaries(
    st.sampled_from(
        ["Duration", "Billed Duration", "Memory Size", "Max Memory Used", "Init Duration", "Restore Duration", "Status"]
    )
    | texts,
    st.tuples(numbers, st.sampled_from([" ms", " MB", " s", "", "\n"])).map("".join) | texts,
)


def bounded(found: object) -> None:
    """Hold a report to what can be."""
    if isinstance(found, Report):
        assert all(0 <= ms <= 960_000 for ms in (found.duration_ms, found.billed_ms))
        assert all(0 <= mb <= 10_240 for mb in (found.memory_mb, found.max_memory_mb))
        for each in records_of(found, 1):
            assert is_plausible(each)
    statistics = Statistics()
    statistics.add(found)  # type: ignore[arg-type]  # whatever was found
    state = to_state({"f": statistics})

    assert state == to_state(from_state(json.loads(json.dumps(state))))


@given(fields)
def test_whatever_stands_in_a_report_line_can_be_added_up(named: dict[str, str]) -> None:
    bounded(read_message("REPORT RequestId: r\t" + "\t".join(f"{name}: {value}" for name, value in named.items())))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
metrics = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        (*("durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB"), "initDurationMs", "restoreDurationMs"),
        st.integers(0, 2_000_000) | json_values,
    ),
)


@given(metrics, st.dictionaries(st.sampled_from(["requestId", "status", "errorType"]), json_values))
def test_whatever_stands_in_a_report_event_can_be_added_up(figures: dict[str, object], more: dict[str, object]) -> None:
    bounded(read_message(report_json(metrics=figures, **more)))


@given(st.sampled_from([encode(invocation()), encode(finding()), encode(ENVIRONMENT)]), json_values, st.integers(0))
def test_whatever_value_a_record_has_it_can_be_added_up(line: str, value: object, place: int) -> None:
    document = json.loads(line)
    name = list(document)[place % len(document)]
    found = read_message(json.dumps({**document, name: value}))
    bounded(found)
    pipeline = Pipeline(DEFAULT_METRICS, Emitter())
    pipeline.add(Delivery("/aws/lambda/f", "s", [LogEvent("s", 5, json.dumps({**document, name: value}))]))
    items, _ = pipeline.take_items(NOW_MS)

    assert all(item.payload.encode() for item in items)
