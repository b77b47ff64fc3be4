"""CloudWatch Logs over real HTTP: moto keeps what comes, a front before it fails on demand."""

import json
import logging
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.sinks.stage import LIMIT_S, Front
from tests.unit.sinks.samples import Item, MemoryOutbox, emf_lines, items

from afterglow_collector.sinks import Policy, SinkRunner
from afterglow_collector.sinks.aws import MakeClient
from afterglow_collector.sinks.backoff import Backoff
from afterglow_collector.sinks.breaker import BreakerPolicy
from afterglow_collector.sinks.cloudwatch_logs import CloudWatchLogs
from afterglow_collector.sinks.contract import SinkBatch, SinkRefused, SinkRetry
from afterglow_collector.sinks.log_batches import MAX_CALL_BYTES

Maker = Callable[[str], MakeClient]


@pytest.fixture
def group() -> str:
    return f"/afterglow/{uuid.uuid4().hex}"


@pytest.fixture
def now_ms() -> int:
    import time

    return time.time_ns() // 1_000_000


def messages(maker: Maker, group: str, stream: str = "s") -> list[str]:
    answer = maker("logs")().get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
    return [event["message"] for event in answer["events"]]


def test_group_and_stream_are_made_when_they_are_missing(maker: Maker, group: str, now_ms: int, front: Front) -> None:
    sink = CloudWatchLogs(maker("logs"), group, "s", retention_days=14)
    lines = emf_lines(10.0)
    refused = sink.send(SinkBatch(items(*lines, at_ms=now_ms), now_ms))

    assert {} == refused
    assert lines == messages(maker, group)
    (described,) = maker("logs")().describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert 14 == described["retentionInDays"]
    sink.send(SinkBatch(items("x", at_ms=now_ms), now_ms))
    assert 1 == front.actions().count("CreateLogGroup")


def test_an_existing_groups_retention_is_left_alone(maker: Maker, group: str, now_ms: int) -> None:
    client = maker("logs")()
    client.create_log_group(logGroupName=group)
    client.put_retention_policy(logGroupName=group, retentionInDays=3)
    CloudWatchLogs(maker("logs"), group, "s", retention_days=14).send(SinkBatch(items("x", at_ms=now_ms), now_ms))

    (described,) = client.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert 3 == described["retentionInDays"]
    assert ["x"] == messages(maker, group)


def test_a_large_batch_takes_several_calls_and_arrives_in_order(
    maker: Maker, group: str, now_ms: int, front: Front
) -> None:
    big = "x" * (MAX_CALL_BYTES // 2 - 100)
    sent = [f"{number}{big}" for number in range(3)]
    CloudWatchLogs(maker("logs"), group, "s").send(SinkBatch(items(*sent, at_ms=now_ms), now_ms))

    assert [text[0] for text in sent] == [text[0] for text in messages(maker, group)]
    assert 3 == front.actions().count("PutLogEvents"), "one that found no group, and two that came through"


def test_throttling_is_a_reason_to_wait_as_long_as_aws_asks(
    maker: Maker, group: str, now_ms: int, front: Front
) -> None:
    front.fail("PutLogEvents", 400, "ThrottlingException", Retry_After="7")
    sink = CloudWatchLogs(maker("logs"), group, "s")
    batch = SinkBatch(items("x", at_ms=now_ms), now_ms)
    with pytest.raises(SinkRetry) as retry:
        sink.send(batch)
    sink.send(batch)

    assert ("ThrottlingException", 7.0) == (retry.value.reason, retry.value.after_s)
    assert ["x"] == messages(maker, group)


def test_what_came_through_before_the_throttling_is_not_sent_again(
    maker: Maker, group: str, now_ms: int, front: Front
) -> None:
    sink = CloudWatchLogs(maker("logs"), group, "s")
    sink.send(SinkBatch(items("first", at_ms=now_ms), now_ms))
    big = "x" * (MAX_CALL_BYTES - 26)
    entries = [Item(2, "emf", now_ms - 15 * 86_400_000, "too old"), *items("y" + big[1:], "z" + big[1:], start=3)]
    entries = [entries[0], *(entry._replace(at_ms=now_ms) for entry in entries[1:])]
    front.fail("PutLogEvents", 503, "ServiceUnavailableException", after=1)
    with pytest.raises(SinkRetry) as retry:
        sink.send(SinkBatch(entries, now_ms))
    assert retry.value.remaining is not None
    assert [4] == [entry.seq for entry in retry.value.remaining]
    assert {"too-old": 1} == retry.value.refused
    sink.send(SinkBatch(retry.value.remaining, now_ms))

    assert ["f", "y", "z"] == [text[0] for text in messages(maker, group)]


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException", "AccessDeniedException"])
def test_expired_credentials_are_read_anew(
    maker: Maker, now_ms: int, front: Front, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    group = f"/afterglow/{uuid.uuid4().hex}"
    front.fail("PutLogEvents", 400, code)
    sink = CloudWatchLogs(maker("logs"), group, "s")
    batch = SinkBatch(items("x", at_ms=now_ms), now_ms)
    with pytest.raises(SinkRetry, match=code):
        sink.send(batch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "renewed")
    sink.send(batch)

    assert "renewed" == front.requests[-1].access_key
    assert ["x"] == messages(maker, group)


def test_credentials_that_come_later_are_found(
    maker: Maker, group: str, now_ms: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    sink = CloudWatchLogs(maker("logs"), group, "s")
    batch = SinkBatch(items("x", at_ms=now_ms), now_ms)
    with pytest.raises(SinkRetry, match="NoCredentialsError"):
        sink.send(batch)
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id=a\naws_secret_access_key=b\n")
    sink.send(batch)

    assert ["x"] == messages(maker, group)


def test_a_request_that_aws_will_never_take_is_refused(maker: Maker, group: str, now_ms: int, front: Front) -> None:
    front.fail("PutLogEvents", 400, "InvalidParameterException")

    with pytest.raises(SinkRefused, match="InvalidParameterException"):
        CloudWatchLogs(maker("logs"), group, "s").send(SinkBatch(items("x", at_ms=now_ms), now_ms))


def test_events_that_aws_rejects_one_by_one_are_counted(maker: Maker, group: str, now_ms: int, front: Front) -> None:
    sink = CloudWatchLogs(maker("logs"), group, "s")
    sink.send(SinkBatch(items("x", at_ms=now_ms), now_ms))
    ahead = [Item(1, "emf", now_ms, "good"), Item(2, "emf", now_ms + 3 * 3_600_000, "of tomorrow")]
    refused = sink.send(SinkBatch(ahead, now_ms + 2 * 3_600_000))  # our clock is ahead of theirs

    assert {"rejected-too-new": 1} == refused
    assert "good" in messages(maker, group)


def test_a_machine_that_is_not_there_is_a_reason_to_wait(group: str, now_ms: int, aws_url: str) -> None:
    from tests.integration.sinks.stage import closed_port

    from afterglow_collector.sinks.aws import client_maker

    sink = CloudWatchLogs(client_maker("logs", endpoint_url=f"http://127.0.0.1:{closed_port()}"), group, "s")

    with pytest.raises(SinkRetry, match="EndpointConnectionError"):
        sink.send(SinkBatch(items("x", at_ms=now_ms), now_ms))


def test_what_arrives_is_emf_by_our_check_and_by_aws_schema(maker: Maker, group: str, now_ms: int) -> None:
    from jsonschema import Draft202012Validator

    from afterglow_collector.emf_check import check

    schema = json.loads((Path(__file__).parents[2] / "data" / "emf-schema.json").read_text())
    lines = emf_lines(*(float(n) for n in range(1, 400)))
    CloudWatchLogs(maker("logs"), group, "s").send(SinkBatch(items(*lines, at_ms=now_ms), now_ms))

    for message in messages(maker, group):
        assert [] == check(message)
        Draft202012Validator(schema).validate(json.loads(message))


def test_who_may_only_make_streams_writes_into_a_group_that_is_there(
    maker: Maker, group: str, now_ms: int, front: Front
) -> None:
    maker("logs")().create_log_group(logGroupName=group)
    front.fail("CreateLogGroup", 400, "AccessDeniedException")
    sink = CloudWatchLogs(maker("logs"), group, "s", retention_days=14)

    assert {} == sink.send(SinkBatch(items("x", at_ms=now_ms), now_ms))
    assert ["x"] == messages(maker, group)
    assert [] == [action for action in front.actions()[1:] if action in {"CreateLogGroup", "PutRetentionPolicy"}]


def test_a_group_that_is_missing_and_may_not_be_made_is_a_reason_to_wait(
    maker: Maker, group: str, now_ms: int, front: Front
) -> None:
    front.fail("CreateLogGroup", 400, "AccessDeniedException")
    sink = CloudWatchLogs(maker("logs"), group, "s")
    with pytest.raises(SinkRetry, match="AccessDeniedException"):
        sink.send(SinkBatch(items("x", at_ms=now_ms), now_ms))
    maker("logs")().create_log_group(logGroupName=group)
    sink.send(SinkBatch(items("x", at_ms=now_ms), now_ms))

    assert ["x"] == messages(maker, group)


def test_a_retention_that_may_not_be_set_is_told_and_holds_nothing_up(
    maker: Maker, group: str, now_ms: int, front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    front.fail("PutRetentionPolicy", 400, "AccessDeniedException")
    CloudWatchLogs(maker("logs"), group, "s", retention_days=14).send(SinkBatch(items("x", at_ms=now_ms), now_ms))

    assert ["x"] == messages(maker, group)
    assert "the new group keeps its events for ever: AccessDeniedException" in caplog.text


def test_a_stream_that_is_gone_meanwhile_is_made_anew(maker: Maker, group: str, now_ms: int) -> None:
    sink = CloudWatchLogs(maker("logs"), group, "s")
    sink.send(SinkBatch(items("x", at_ms=now_ms), now_ms))
    maker("logs")().delete_log_stream(logGroupName=group, logStreamName="s")
    sink.send(SinkBatch(items("y", at_ms=now_ms), now_ms))

    assert ["y"] == messages(maker, group)


def test_a_missing_permission_is_told_once_and_that_it_was_given(
    maker: Maker, now_ms: int, front: Front, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    group = f"/afterglow/{uuid.uuid4().hex}"
    for _ in range(7):
        front.fail("PutLogEvents", 400, "AccessDeniedException")
    policy = Policy(backoff=Backoff(0.001, 0.01), breaker=BreakerPolicy(failures=3, cool_down_s=0.02))
    outbox = MemoryOutbox(items("x", at_ms=now_ms))
    runner = SinkRunner(CloudWatchLogs(maker("logs"), group, "s"), outbox, tmp_path, policy)
    runner.start()

    assert runner.stop(drain_s=LIMIT_S), runner.status()
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    failed, again = [line for line in told if line.startswith("sink ")]
    assert f"sink cloudwatch-logs {group}/s: AccessDeniedException; what it has not taken waits" in failed
    assert "works again, after" in again
    assert [] == [line for line in told if "Found credentials" in line]
    assert ["x"] == messages(maker, group)
