"""The log pipeline as a Lambda function: what goes out for what came in, and what it says of records that failed."""

import base64
import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.logs.lines import awslogs, delivery, kinesis, report_json, report_text
from tests.unit.sinks.samples import ENVIRONMENT, NOW_MS, batch_of, finding, invocation

from afterglow.emf import Emitter
from afterglow.metrics import DEFAULT_METRICS
from afterglow.records import encode
from afterglow_collector.logs.handler import TRIES, LogsFunction
from afterglow_collector.logs.pipeline import Pipeline
from afterglow_collector.logs.subscription import MAX_BYTES, DeliveryError, read_delivery
from afterglow_collector.sinks.contract import EMF, FINDING, RECORD, SinkBatch, SinkRefused, SinkRetry


class Kept:
    """A sink that keeps what it gets, once it has raised what it was told to."""

    name = "kept"

    def __init__(self, *failures: Exception, kinds: frozenset[str] = frozenset((EMF, FINDING))) -> None:
        self.kinds = kinds
        self.failures = list(failures)
        self.tries = 0
        self.payloads: list[str] = []

    def send(self, batch: SinkBatch) -> Mapping[str, int]:
        self.tries += 1
        if self.failures:
            raise self.failures.pop(0)
        self.payloads += [entry.payload for entry in batch.entries]
        return {}

    def total(self, metric: str) -> float:
        """Return the sum of a metric in all EMF documents."""
        documents = [json.loads(payload) for payload in self.payloads]
        values = [document[metric] for document in documents if "_aws" in document and metric in document]
        return sum(value["Sum"] if isinstance(value, dict) else value for value in values)


def function_of(sink: Kept, *report_groups: str, skip_undecodable: bool = False) -> LogsFunction:
    pipeline = Pipeline(DEFAULT_METRICS, Emitter(), report_groups)
    return LogsFunction(pipeline, [sink], skip_undecodable, lambda: NOW_MS + 1000)


def records(*numbers: int, **fields: Any) -> bytes:
    """Return a delivery of an environment's records: so many invocations."""
    return delivery(*batch_of(*(invocation(number, **fields) for number in numbers)).splitlines())


def test_records_of_a_subscription_become_metrics_and_findings() -> None:
    sink = Kept()
    message = delivery(*batch_of(invocation(1), finding()).splitlines(), "something else")
    answer = function_of(sink).handle(awslogs(message))

    assert {} == answer
    assert 1 == sink.total("Invocations") == sink.total("LingeringCount")
    assert ["finding"] == [json.loads(p)["afterglow"] for p in sink.payloads if "_aws" not in p]


def test_reports_count_where_they_are_asked_to() -> None:
    asked, unasked = Kept(), Kept()
    message = delivery(report_text(init_ms=211.0), report_json(status="timeout"))
    function_of(asked, "/aws/lambda/check*").handle(awslogs(message))
    function_of(unasked, "/aws/lambda/other").handle(awslogs(message))

    assert (2, 1, 1) == tuple(asked.total(name) for name in ("Invocations", "ColdStarts", "Errors"))
    assert pytest.approx(211.0) == asked.total("InitMs")
    assert "LingeringCount" not in "".join(asked.payloads), "nobody looked"
    assert [] == unasked.payloads


def test_a_control_message_is_no_data() -> None:
    sink = Kept()
    function_of(sink).handle(awslogs(delivery("CWL CONTROL MESSAGE", kind="CONTROL_MESSAGE")))

    assert 0 == sink.tries


def test_an_environment_is_remembered_between_deliveries() -> None:
    sink = Kept(kinds=frozenset((RECORD,)))
    function = function_of(sink)
    function.handle(awslogs(records(1)))
    function.handle(awslogs(delivery(encode(invocation(2)))))

    assert [encode(ENVIRONMENT)] * 2 == [payload.splitlines()[0] for payload in sink.payloads]


def test_without_its_environment_a_record_goes_by_the_names_of_group_and_stream() -> None:
    sink = Kept()
    function_of(sink).handle(awslogs(delivery(encode(invocation(2)))))

    assert '"FunctionName":"checkout"' in sink.payloads[0]


def test_broken_and_enormous_lines_are_counted_as_dropped() -> None:
    sink = Kept()
    lines = ['{"afterglow": "invocation", "v": 1}', '{"afterglow": "' + "x" * 300_000 + '"}']
    function_of(sink).handle(awslogs(delivery(*batch_of(invocation(1)).splitlines(), *lines)))

    assert (1, 2) == (sink.total("Invocations"), sink.total("DroppedRecords"))


def test_all_good_records_of_a_stream_leave_no_failures() -> None:
    sink = Kept()
    answer = function_of(sink).handle(kinesis(records(1), records(2, 3)))

    assert {"batchItemFailures": []} == answer
    assert 3 == sink.total("Invocations")


@pytest.mark.parametrize(
    "bad",
    [
        records(9)[:-9],
        records(9)[:20],
        b"",
        b"no gzip at all",
        gzip.compress(b"no json"),
        gzip.compress(b"[]"),
        gzip.compress(b'{"logEvents": [{"message": "no timestamp"}]}'),
        gzip.compress(b"[" * 200_000),
    ],
    ids=["truncated", "stump", "empty", "plain", "text", "list", "untimed", "deep"],
)
def test_the_first_bad_record_is_named_and_what_is_behind_it_waits(bad: bytes) -> None:
    sink = Kept()
    answer = function_of(sink).handle(kinesis(records(1), bad, records(2)))

    assert {"batchItemFailures": [{"itemIdentifier": "101"}]} == answer
    assert 1 == sink.total("Invocations"), "Lambda delivers 101 and 102 again: they must not count now"


def test_bad_records_can_be_skipped_instead() -> None:
    sink = Kept()
    answer = function_of(sink, skip_undecodable=True).handle(kinesis(records(1), b"bad", records(2)))

    assert {"batchItemFailures": []} == answer
    assert 2 == sink.total("Invocations")


def test_a_sink_that_is_busy_for_a_moment_is_asked_again() -> None:
    sink = Kept(SinkRetry("busy"))
    answer = function_of(sink).handle(kinesis(records(1)))

    assert {"batchItemFailures": []} == answer
    assert (2, 1) == (sink.tries, sink.total("Invocations"))


def test_a_sink_that_stays_dead_fails_the_whole_batch_and_counts_nothing_twice() -> None:
    sink = Kept(*[SinkRetry("dead")] * TRIES)
    function = function_of(sink)
    event = kinesis(records(1), records(2))
    first, second = function.handle(event), function.handle(event)

    assert {"batchItemFailures": [{"itemIdentifier": "100"}]} == first
    assert {"batchItemFailures": []} == second
    assert 2 == sink.total("Invocations")


def test_a_direct_subscription_fails_so_that_lambda_tries_again() -> None:
    sink = Kept(*[SinkRetry("dead")] * TRIES)
    function = function_of(sink)
    with pytest.raises(SinkRetry):
        function.handle(awslogs(records(1)))
    function.handle(awslogs(records(1)))

    assert 1 == sink.total("Invocations")


def test_what_the_sink_refuses_is_said_and_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    sink = Kept(SinkRefused("malformed"))
    answer = function_of(sink).handle(kinesis(records(1)))

    assert {"batchItemFailures": []} == answer
    assert '"dropped": {"malformed": 1}' in capsys.readouterr().err


def test_an_event_of_something_else_is_refused() -> None:
    with pytest.raises(DeliveryError, match="neither awslogs nor Records"):
        function_of(Kept()).handle({"detail-type": "Scheduled Event"})


def test_a_bomb_is_not_unpacked() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(2 * MAX_BYTES >> 20)) + packer.flush()

    with pytest.raises(DeliveryError, match=f"over {MAX_BYTES} bytes"):
        read_delivery(base64.b64encode(bomb).decode())


def test_base64_of_nonsense_is_refused() -> None:
    with pytest.raises(DeliveryError, match="not base64"):
        read_delivery("%%%")


FORGED = (
    f"REPORT RequestId: x\tDuration: 1 ms\tBilled Duration: {'9' * 400} ms\tMemory Size: 128 MB\tMax Memory Used: 5 MB"
)
POISON = [
    FORGED,
    encode(invocation(1, rss_bytes=10**400)),
    encode(invocation(1, peak_rss_bytes=10**400)),
    encode(ENVIRONMENT._replace(memory_mb=10**400)),
    encode(finding(wall_ms=1e308)),
    encode(finding(name="\ud800")),
    report_json(metrics={"billedDurationMs": 10**400}),
    '{"afterglow": "invocation", "v": 1, "status": ' + "[" * 900 + "]" * 900 + "}",
]  # fmt: skip


@pytest.mark.parametrize("line", POISON, ids=range(len(POISON)))
def test_a_poisoned_line_holds_up_no_shard(line: str) -> None:
    sink = Kept()
    event = kinesis(records(1), delivery(*batch_of(invocation(2)).splitlines(), line), records(3))
    answer = function_of(sink, "*").handle(event)

    assert {"batchItemFailures": []} == answer
    assert 3 == sink.total("Invocations")


class Fussy(Kept):
    """A sink that objects to any batch with certain words in it."""

    def __init__(self, objection: Exception, words: str) -> None:
        super().__init__()
        self.objection, self.words = objection, words

    def send(self, batch: SinkBatch) -> Mapping[str, int]:
        if any(self.words in entry.payload for entry in batch.entries):
            raise self.objection
        return super().send(batch)


@pytest.mark.parametrize(("objection", "said"), [(SinkRefused("no"), "no"), (ValueError("bug"), "bug: ValueError")])
def test_what_spoils_a_batch_for_the_sink_is_found_and_all_else_arrives(
    objection: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sink = Fussy(objection, "spoilt")
    findings = [finding(finding_id=str(number), name="spoilt" if number == 5 else "good") for number in range(9)]
    answer = function_of(sink).handle(kinesis(delivery(*batch_of(*findings).splitlines())))
    kept = [json.loads(payload)["finding_id"] for payload in sink.payloads if "finding_id" in payload]

    assert {"batchItemFailures": []} == answer
    assert [*"01234678"] == kept
    assert f'"dropped": {{"{said}": 1}}' in capsys.readouterr().err


def test_a_report_that_comes_twice_is_counted_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    sink = Kept()
    function_of(sink, "*").handle(awslogs(delivery(*[report_text()] * 3, report_text("another"))))

    assert 4 == sink.total("Invocations"), "it may be a retry"
    assert '"repeated_reports": 2' in capsys.readouterr().err


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        7,
        "awslogs",
        {},
        {"awslogs": None},
        {"awslogs": {}},
        {"awslogs": {"data": 7}},
        {"awslogs": {"data": "\u00e4"}},
        {"Records": None},
        {"Records": [None]},
        {"Records": [{"body": "of SQS"}]},
        {"Records": [{"kinesis": {"data": "x"}}]},
    ],
    ids=str,
)
def test_an_event_of_another_shape_is_refused_in_words(event: Any) -> None:
    with pytest.raises(DeliveryError):
        function_of(Kept()).handle(event)


@pytest.mark.parametrize("data", [None, 7, {}, "\u00e4", "x"], ids=str)
def test_a_kinesis_record_without_data_is_named(data: Any) -> None:
    event = kinesis(records(1), records(2))
    event["Records"][1]["kinesis"]["data"] = data

    assert {"batchItemFailures": [{"itemIdentifier": "101"}]} == function_of(Kept()).handle(event)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
events_of_a_stream = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "timestamp": st.integers() | values,
            "message": st.sampled_from(POISON) | st.text().map(lambda text: "REPORT RequestId: " + text) | values,
        },
    )
    | values,
    max_size=4,
)
deliveries = st.fixed_dictionaries(
    {"logEvents": events_of_a_stream},
    optional={"messageType": st.just("CONTROL_MESSAGE") | values, "logGroup": values, "logStream": values},
)


@settings(max_examples=60, deadline=None)
@given(st.lists(deliveries | values, max_size=3))
def test_whatever_is_delivered_is_taken_or_named(documents: list[Any]) -> None:
    sink = Kept()
    event = kinesis(*(gzip.compress(json.dumps(document).encode()) for document in documents))
    answer = function_of(sink, "*").handle(event)
    named = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    assert named == [] or named[0] in {str(100 + number) for number in range(len(documents))}
    assert all(payload.encode() for payload in sink.payloads)


@settings(max_examples=60, deadline=None)
@given(deliveries | values)
def test_whatever_a_subscription_delivers_is_taken_or_refused_in_words(document: Any) -> None:
    try:
        answer = function_of(Kept(), "*").handle(awslogs(gzip.compress(json.dumps(document).encode())))
    except DeliveryError:
        return

    assert {} == answer


@given(values)
def test_whatever_event_comes_is_taken_or_refused_in_words(event: Any) -> None:
    with suppress(DeliveryError):
        function_of(Kept()).handle(event)
    with suppress(DeliveryError):
        function_of(Kept()).handle({"awslogs": event})
    with suppress(DeliveryError):
        function_of(Kept()).handle({"Records": event})


def test_settings_come_from_the_environment(capfd: pytest.CaptureFixture[str]) -> None:
    function = LogsFunction.from_env(
        {
            "AFTERGLOW_LOGS_REPORTS": "/aws/lambda/a*, /aws/lambda/b",
            "AFTERGLOW_LOGS_UNDECODABLE": "skip",
            "AFTERGLOW_NAMESPACE": "Shop",
            "AFTERGLOW_FLUSH_SECONDS": "soon",
        }
    )

    assert ["/aws/lambda/a*", "/aws/lambda/b"] == function.pipeline.report_groups
    assert ("Shop", True, ["stdout"]) == (
        function.pipeline.emitter.namespace,
        function.skip_undecodable,
        [sink.name for sink in function.sinks],
    )
    assert "AFTERGLOW_FLUSH_SECONDS" in capfd.readouterr().err


def test_the_function_starts_without_anything_heavy() -> None:
    code = "import sys; import afterglow_collector.logs.handler; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert {"boto3", "requests", "rich", "aws_xray_sdk", "msgspec", "psutil"} & set(loaded) == set()
