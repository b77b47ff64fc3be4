"""What no sink can send stops nothing that lies behind it: it is left out or refused, counted, and told once."""

import json
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.integration.sinks.stage import LIMIT_S, Front, LineListener, OtlpReceiver, datagrams, serving
from tests.unit.sinks.samples import (
    ENVIRONMENT,
    NOW_MS,
    TRACE,
    MemoryOutbox,
    batch_of,
    emf_lines,
    finding,
    init,
    invocation,
    items,
)

from afterglow_collector.sinks import SinkRunner, SinkStatus
from afterglow_collector.sinks.aws import MakeClient, client_maker
from afterglow_collector.sinks.backoff import Backoff
from afterglow_collector.sinks.breaker import BreakerPolicy
from afterglow_collector.sinks.cloudwatch_agent import CloudWatchAgent
from afterglow_collector.sinks.cloudwatch_logs import CloudWatchLogs
from afterglow_collector.sinks.contract import SinkBatch
from afterglow_collector.sinks.courier import Clocks, Policy
from afterglow_collector.sinks.file import RotatingFile
from afterglow_collector.sinks.otlp import OtlpClient, OtlpMetrics, OtlpTraces
from afterglow_collector.sinks.spans import LAST_MS
from afterglow_collector.sinks.xray import Daemon, PutTraceSegments, XRay

QUICK = Policy(batch_entries=10, backoff=Backoff(0.001, 0.01), breaker=BreakerPolicy(failures=3, cool_down_s=0.02))
DIGITS = "9" * 4000
HUGE = 10**400

CALL: Callable[..., Any] = invocation
POISON = {
    "at -5": batch_of(invocation(1, at_ms=-5, trace=TRACE)),
    "at 2^53": batch_of(invocation(1, at_ms=1 << 53, trace=TRACE)),
    "at 2^63": batch_of(invocation(1, at_ms=1 << 63, trace=TRACE)),
    "at of 400 digits": batch_of(invocation(1, at_ms=HUGE, trace=TRACE)),
    "duration 1e308": batch_of(invocation(1, duration_ms=1e308, trace=TRACE)),
    "duration negative": batch_of(invocation(1, duration_ms=-1e15, trace=TRACE)),
    "CPU endless": batch_of(invocation(1, cpu_user_ms=1e308, cpu_system_ms=1e308, trace=TRACE)),
    "memory of 400 digits": batch_of(invocation(1, peak_rss_bytes=HUGE, trace=TRACE)),
    "jobs 2^70": batch_of(finding(jobs=1 << 70, trace=TRACE)),
    "returned at -5": batch_of(finding(returned_at_ms=-5.0, trace=TRACE)),
    "returned at 1e14": batch_of(finding(returned_at_ms=1e14, trace=TRACE)),
    "returned at 1e300": batch_of(finding(returned_at_ms=1e300, trace=TRACE)),
    "wall 1e308": batch_of(finding(wall_ms=1e308, frozen_ms=1e308, trace=TRACE)),
    "init 1e308": batch_of(init(init_ms=1e308), invocation(1, trace=TRACE)),
    "started at -5": batch_of(init(), invocation(1, trace=TRACE), environment=ENVIRONMENT._replace(started_at_ms=-5)),
    "memory 2^53": batch_of(invocation(1, trace=TRACE), environment=ENVIRONMENT._replace(memory_mb=1 << 53)),
    "memory 2^70": batch_of(invocation(1, trace=TRACE), environment=ENVIRONMENT._replace(memory_mb=1 << 70)),
    "half a character": batch_of(finding(name="\ud800", trace=TRACE)),
    "half a character in the id": batch_of(invocation(1, request_id="\udfff", trace=TRACE)),
    "half a character as function": batch_of(invocation(), environment=ENVIRONMENT._replace(function="\ud83d")),
    "60,000 characters": batch_of(invocation(1, status="x" * 60_000, trace=TRACE)),
    "4,000 digits": batch_of(invocation(1, trace=TRACE)).replace('"duration_ms":30.0', f'"duration_ms":{DIGITS}'),
    "5,000 digits": batch_of(invocation(1, trace=TRACE)).replace('"index":1', f'"index":{DIGITS}{DIGITS}'),
    "deep": batch_of(invocation()) + "\n" + "[" * 100_000,
    "nothing": "",
    "nonsense": "\0\n\xff\n{}\n[]",
}
GOOD = batch_of(invocation(7, trace=TRACE))


def brought_through(sink: Any, folder: Path, *payloads: str, kind: str = "record") -> SinkStatus:
    """Send the entries with a runner of their own until nothing is left."""
    outbox = MemoryOutbox(items(*payloads, kind=kind))
    runner = SinkRunner(sink, outbox, folder, QUICK)
    runner.start()

    assert runner.stop(drain_s=LIMIT_S), runner.status()
    return runner.status()


@pytest.fixture
def receiver() -> OtlpReceiver:
    return OtlpReceiver()


@pytest.fixture
def client(receiver: OtlpReceiver) -> Iterator[OtlpClient]:
    with serving(receiver) as url:
        yield OtlpClient(url)


def spans(receiver: OtlpReceiver) -> list[Any]:
    requests = [ExportTraceServiceRequest.FromString(body) for _, body in receiver.taken]
    return [s for r in requests for of in r.resource_spans for scope in of.scope_spans for s in scope.spans]


def requests_of(receiver: OtlpReceiver) -> set[str]:
    return {a.value.string_value for s in spans(receiver) for a in s.attributes if a.key == "afterglow.request_id"}


@pytest.mark.parametrize("payload", POISON.values(), ids=POISON)
def test_traces_behind_a_poisoned_batch_arrive_over_otlp(
    client: OtlpClient, receiver: OtlpReceiver, tmp_path: Path, payload: str
) -> None:
    status = brought_through(OtlpTraces(client), tmp_path, payload, GOOD, payload, GOOD)

    assert "request-7" in requests_of(receiver)
    assert {} == status.failures
    for span in spans(receiver):
        assert span.start_time_unix_nano <= span.end_time_unix_nano <= int(LAST_MS) * 10**6, span


@pytest.mark.parametrize("payload", POISON.values(), ids=POISON)
def test_traces_behind_a_poisoned_batch_reach_the_x_ray_daemon(tmp_path: Path, payload: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        sink = XRay(Daemon(f"127.0.0.1:{daemon.getsockname()[1]}"))
        status = brought_through(sink, tmp_path, payload, GOOD)
        came = [data.partition(b"\n")[2] for data in datagrams(daemon, status.others["subsegments"])]
        documents = [json.loads(body, parse_constant=pytest.fail) for body in came]

    assert "request-7" in {document["annotations"].get("request_id") for document in documents}
    assert {} == status.failures
    for document in documents:
        assert 0 <= document["start_time"] <= document.get("end_time", LAST_MS) <= LAST_MS / 1000, document


def test_x_rays_own_api_gets_what_is_behind_a_poisoned_batch(
    maker: Callable[[str], MakeClient], front: Front, tmp_path: Path
) -> None:
    trace_id = f"1-{NOW_MS // 1000:08x}-{uuid.uuid4().hex[:24]}"
    good = batch_of(invocation(7, trace=f"Root={trace_id};Parent=53995c3f42cd8ad8;Sampled=1"))
    status = brought_through(XRay(PutTraceSegments(maker("xray"))), tmp_path, *POISON.values(), good)
    (trace,) = maker("xray")().batch_get_traces(TraceIds=[trace_id])["Traces"]

    assert 1 == len(trace["Segments"]), front.actions()
    assert {} == status.failures


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    times=st.tuples(st.integers(), st.integers()),
    ms=st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
    name=st.text(st.characters(exclude_categories=())),
    memory_mb=st.none() | st.integers(),
)
def test_whatever_numbers_and_names_a_batch_holds_it_becomes_spans_or_nothing(
    times: tuple[int, int], ms: Any, name: str, memory_mb: Any
) -> None:
    started_at_ms, at_ms = times
    environment = ENVIRONMENT._replace(memory_mb=memory_mb, started_at_ms=started_at_ms, function=name)
    records = (
        init(init_ms=ms, at_ms=at_ms),
        invocation(1, at_ms=at_ms, duration_ms=ms, error_type=name, trace=TRACE),
        finding(name=name, wall_ms=ms, frozen_ms=ms, returned_at_ms=ms, trace=TRACE),
    )
    batch = SinkBatch(items(batch_of(*records, environment=environment), kind="record"), NOW_MS)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        sink = XRay(Daemon(f"127.0.0.1:{daemon.getsockname()[1]}"))
        otlp = OtlpTraces(Unsent())

        assert ({}, {}) == (sink.send(batch), otlp.send(batch))
        sink.close()


class Unsent(OtlpClient):
    """A client that makes the body and keeps it."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9")

    def post(self, path: str, message: Any) -> bytes:  # noqa: ARG002 - as its base has it
        message.SerializeToString()
        return b""


EMF = emf_lines(2.0)[0]
EMPTY_LISTS = re.sub(r'"(Values|Counts)":\[[^\]]*\]', r'"\1":[]', emf_lines(1.0, 9.0)[0])
NO_EMF = {
    "half a character": EMF.replace("checkout", "\ud800"),
    "a time that is none": re.sub(r'"Timestamp":\d+', '"Timestamp":1e999', EMF),
    "a time beyond all": re.sub(r'"Timestamp":\d+', f'"Timestamp":{HUGE}', EMF),
    "a time before all": re.sub(r'"Timestamp":\d+', '"Timestamp":-5', EMF),
    "a value that is none": EMF.replace('"Invocations":1', '"Invocations":[NaN]'),
    "an endless value": EMF.replace('"Invocations":1', '"Invocations":1e999'),
    "too many": re.sub(r'"Counts":\[1', f'"Counts":[{HUGE}', emf_lines(1.0, 2.0)[0]),
    "no values": EMPTY_LISTS,
    "digits": EMF.replace('"Invocations":1', f'"Invocations":{DIGITS}{DIGITS}'),
    "deep": "[" * 100_000,
    "nothing": "",
    "a list": "[]",
    "null": '{"_aws":null}',
}  # fmt: skip


@pytest.mark.parametrize("payload", NO_EMF.values(), ids=NO_EMF)
def test_metrics_behind_a_poisoned_document_arrive_over_otlp(
    client: OtlpClient, receiver: OtlpReceiver, tmp_path: Path, payload: str
) -> None:
    status = brought_through(OtlpMetrics(client), tmp_path, payload, *emf_lines(5.0, function="behind"), kind="emf")

    assert any(b"behind" in body for _, body in receiver.taken)
    assert {} == status.failures
    assert 2 == status.counters["sent"] + sum(status.refused.values())


@pytest.mark.parametrize("payload", NO_EMF.values(), ids=NO_EMF)
def test_lines_behind_a_poisoned_document_are_written(tmp_path: Path, payload: str) -> None:
    good = emf_lines(5.0, function="behind")[0]
    status = brought_through(RotatingFile(tmp_path / "out"), tmp_path, payload, good, kind="emf")

    assert good == (tmp_path / "out").read_text().splitlines()[-1]
    assert {} == status.failures


@pytest.mark.parametrize("payload", NO_EMF.values(), ids=NO_EMF)
def test_documents_behind_a_poisoned_one_reach_the_agent(tmp_path: Path, payload: str) -> None:
    listener = LineListener()
    sink = CloudWatchAgent("tcp", "127.0.0.1", listener.port, "g")
    try:
        status = brought_through(sink, tmp_path, payload, *emf_lines(5.0, function="behind"), kind="emf")
        came = listener.wait_for(status.counters["sent"])
    finally:
        listener.stop()

    assert "behind" in came[-1]
    assert {} == status.failures


def test_events_behind_a_poisoned_one_reach_their_log_group(maker: Callable[[str], MakeClient], tmp_path: Path) -> None:
    group, now_ms = f"/afterglow/{uuid.uuid4().hex}", time.time_ns() // 1_000_000
    sink = CloudWatchLogs(maker("logs"), group, "s")
    outbox = MemoryOutbox(items("good", "\ud800", "", at_ms=now_ms))
    for at_ms in (-5, 1 << 62, now_ms):
        outbox.entries += items("behind", at_ms=at_ms, start=len(outbox.entries) + 1)
    runner = SinkRunner(sink, outbox, tmp_path, QUICK)
    runner.start()

    assert runner.stop(drain_s=LIMIT_S), runner.status()
    kept = maker("logs")().get_log_events(logGroupName=group, logStreamName="s", startFromHead=True)["events"]
    assert ["good", "behind"] == [event["message"] for event in kept]
    assert {"not-utf-8": 1, "empty": 1, "too-old": 1, "too-new": 1} == runner.status().refused


def test_what_was_given_up_is_told_once(client: OtlpClient, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    brought_through(OtlpMetrics(client), tmp_path, *["no EMF"] * 50, kind="emf")
    told = [record.getMessage() for record in caplog.records if "given up" in record.getMessage()]

    assert [f"sink otlp metrics {client.endpoint}: 10 entries given up: not-emf"] == told, "the other 40 come later"


MISCONFIGURED: dict[str, Callable[[], Any]] = {
    "endpoint of AWS": lambda: CloudWatchLogs(client_maker("logs", "eu-west-1", "nowhere"), "/g", "s"),
    "endpoint of X-Ray": lambda: XRay(PutTraceSegments(client_maker("xray", "eu-west-1", "nowhere"))),
    "region": lambda: CloudWatchLogs(client_maker("logs", "eu west", None), "/g", "s"),
    "host of the agent": lambda: CloudWatchAgent("tcp", "x" * 70, 1, "g"),
    "host of the agent, UDP": lambda: CloudWatchAgent("udp", "x" * 70, 1, "g"),
    "host of the daemon": lambda: XRay(Daemon("x" * 70 + ":1")),
    "URL": lambda: OtlpMetrics(OtlpClient("http://" + "x" * 70 + ":1")),
    "URL of another kind": lambda: OtlpTraces(OtlpClient("ftp://127.0.0.1:1")),
    "header": lambda: OtlpMetrics(OtlpClient("http://127.0.0.1:1", {"a": "b\nc"})),
    "name of a header": lambda: OtlpMetrics(OtlpClient("http://127.0.0.1:1", {"\u00e4": "b"})),
    "folder": lambda: RotatingFile(Path("/proc/nowhere/out")),
}


@pytest.mark.parametrize("make", MISCONFIGURED.values(), ids=MISCONFIGURED)
def test_what_is_wrong_with_the_settings_is_no_entrys_fault(
    make: Callable[[], Any], aws_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = make()
    kind = min(sink.kinds)
    outbox = MemoryOutbox(items(*(emf_lines(1.0) if kind == "emf" else [GOOD]), kind=kind))
    runner = SinkRunner(sink, outbox, tmp_path, QUICK, Clocks(wall_s=lambda: NOW_MS / 1000))
    runner.start()
    by_s = time.monotonic() + LIMIT_S
    while runner.status().counters["breaker_opened"] < 3:
        assert time.monotonic() < by_s, runner.status()
        time.sleep(0.01)
    runner.stop()

    assert {} == runner.status().refused
    assert {} == {reason: count for reason, count in runner.status().failures.items() if reason.startswith("bug")}
    assert "what it has not taken waits" in caplog.text
