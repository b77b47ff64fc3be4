"""The log pipeline as a Lambda function: what goes out for what came in, and what it says of records that failed."""

import base64
import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Mapping
from typing import Any

import pytest
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
