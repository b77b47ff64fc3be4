"""X-Ray through the daemon's protocol and through PutTraceSegments, kept by moto; OTLP decoded by a receiver."""

import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.integration.sinks.stage import Front, OtlpReceiver, closed_port, datagrams, serving
from tests.unit.sinks.samples import NOW_MS, TRACE, batch_of, emf_lines, finding, init, invocation, items

from afterglow_collector.sinks.aws import MakeClient, retry_after_s
from afterglow_collector.sinks.contract import Closable, SinkBatch, SinkRefused, SinkRetry
from afterglow_collector.sinks.otlp import OtlpClient, OtlpMetrics, OtlpTraces
from afterglow_collector.sinks.spec import make_sinks
from afterglow_collector.sinks.xray import Daemon, PutTraceSegments, XRay

Maker = Callable[[str], MakeClient]


def traced(trace: str = TRACE) -> SinkBatch:
    """Return a cold invocation that left a thread behind, in one batch of records."""
    return SinkBatch(items(batch_of(init(), invocation(1, trace=trace), finding(trace=trace)), kind="record"), NOW_MS)


def own_trace() -> tuple[str, str]:
    """Return a trace id of this test alone, and its header."""
    trace_id = f"1-{NOW_MS // 1000:08x}-{uuid.uuid4().hex[:24]}"
    return trace_id, f"Root={trace_id};Parent=53995c3f42cd8ad8;Sampled=1"


def documents(maker: Maker, trace_id: str) -> list[dict[str, Any]]:
    (trace,) = maker("xray")().batch_get_traces(TraceIds=[trace_id])["Traces"]
    return [json.loads(segment["Document"]) for segment in trace["Segments"]]


def test_put_trace_segments_keeps_init_invoke_and_what_went_on(maker: Maker) -> None:
    trace_id, header = own_trace()
    sink = XRay(PutTraceSegments(maker("xray")))
    refused = sink.send(traced(header))
    kept = {document["name"]: document for document in documents(maker, trace_id)}
    lingering = kept["after return: thread Thread-1 notify"]

    assert {} == refused
    assert {"Afterglow Init", "Afterglow Invoke", "after return: thread Thread-1 notify"} == set(kept)
    assert "53995c3f42cd8ad8" == kept["Afterglow Invoke"]["parent_id"] == kept["Afterglow Init"]["parent_id"]
    assert kept["Afterglow Invoke"]["id"] == lingering["parent_id"]
    assert {"subsegment"} == {document["type"] for document in kept.values()}
    assert ("app.py:14", "done", 500.0) == tuple(
        lingering["annotations"][name] for name in ("call_site", "outcome", "frozen_ms")
    )
    assert pytest.approx(0.62) == lingering["end_time"] - lingering["start_time"]
    assert {"subsegments": 3} == sink.counts()


def test_the_daemon_gets_a_datagram_per_subsegment() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        sink = XRay(Daemon(f"127.0.0.1:{daemon.getsockname()[1]}"))
        sink.send(traced())
        came = [data.decode().partition("\n") for data in datagrams(daemon, 3)]
        sink.close()

    assert {'{"format":"json","version":1}'} == {head for head, _, _ in came}
    assert {"1-5759e988-bd862e3fe1be46a994272793"} == {json.loads(body)["trace_id"] for _, _, body in came}


def test_work_that_goes_on_is_in_progress(maker: Maker) -> None:
    trace_id, header = own_trace()
    still = finding(outcome="resumed", changes=["lingering", "resumed"], trace=header)
    records = batch_of(invocation(1, trace=header), still)
    XRay(PutTraceSegments(maker("xray"))).send(SinkBatch(items(records, kind="record"), NOW_MS))
    (lingering,) = (d for d in documents(maker, trace_id) if d["name"].startswith("after return"))

    assert lingering["in_progress"] is True
    assert "end_time" not in lingering


def test_unsampled_traces_are_not_sent(front: Front, maker: Maker) -> None:
    sink = XRay(PutTraceSegments(maker("xray")))
    sink.send(traced(TRACE.replace("Sampled=1", "Sampled=0")))

    assert [] == front.requests
    assert {"not-sampled": 2} == sink.counts()


def test_x_ray_that_throttles_is_asked_again(front: Front, maker: Maker) -> None:
    front.fail("TraceSegments", 429, "ThrottledException")
    trace_id, header = own_trace()
    sink = XRay(PutTraceSegments(maker("xray")))
    with pytest.raises(SinkRetry, match="Throttled"):
        sink.send(traced(header))
    sink.send(traced(header))

    assert 3 == len(documents(maker, trace_id))


@pytest.fixture
def receiver() -> OtlpReceiver:
    return OtlpReceiver()


@pytest.fixture
def client(receiver: OtlpReceiver) -> Iterator[OtlpClient]:
    with serving(receiver) as url:
        made = OtlpClient(url, {"Authorization": "Bearer abc"})
        yield made
        made.close()


def emf_batch(*payloads: str) -> SinkBatch:
    return SinkBatch(items(*(payloads or emf_lines(5.0, 7.0, 4000.0))), NOW_MS)


def test_metrics_arrive_as_sums_and_histograms(receiver: OtlpReceiver, client: OtlpClient) -> None:
    OtlpMetrics(client).send(emf_batch())
    ((path, body),) = receiver.taken
    request = ExportMetricsServiceRequest.FromString(body)
    metrics = {m.name: m for m in request.resource_metrics[0].scope_metrics[0].metrics}
    duration = metrics["afterglow.duration"].histogram.data_points[0]
    calls = metrics["afterglow.invocations"].sum

    assert "/v1/metrics" == path
    assert "Bearer abc" == receiver.headers[0]["Authorization"]
    assert (3, 4012.0, 5.0, 4000.0) == (duration.count, duration.sum, duration.min, duration.max)
    assert (3.0, True) == (calls.data_points[0].as_double, calls.is_monotonic)


def test_spans_arrive_with_their_parents(receiver: OtlpReceiver, client: OtlpClient) -> None:
    OtlpTraces(client).send(traced())
    ((path, body),) = receiver.taken
    (of_resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    spans = {span.name: span for span in of_resource.scope_spans[0].spans}
    attributes = {a.key: a.value for a in of_resource.resource.attributes}
    lingering = spans["after return: thread Thread-1 (notify)"]

    assert "/v1/traces" == path
    assert "5759e988bd862e3fe1be46a994272793" == lingering.trace_id.hex()
    assert spans["Afterglow Invoke"].span_id == lingering.parent_span_id
    assert ("checkout", 512 * 2**20) == (attributes["faas.name"].string_value, attributes["faas.max_memory"].int_value)
    assert 620_000_000 == lingering.end_time_unix_nano - lingering.start_time_unix_nano


@pytest.mark.parametrize("status", [429, 502, 503, 504, 500, 401, 404])
def test_a_receiver_that_cannot_now_is_asked_again(receiver: OtlpReceiver, client: OtlpClient, status: int) -> None:
    receiver.answers.append((status, b"", {"Retry-After": "3"}))
    sink = OtlpMetrics(client)
    with pytest.raises(SinkRetry) as retry:
        sink.send(emf_batch())
    sink.send(emf_batch())

    assert (f"HTTP {status}", 3.0) == (retry.value.reason, retry.value.after_s)
    assert 1 == len(receiver.taken)


@pytest.mark.parametrize("status", [400, 413])
def test_a_body_that_is_never_taken_is_refused(receiver: OtlpReceiver, client: OtlpClient, status: int) -> None:
    receiver.answers.append((status, b"", {}))

    with pytest.raises(SinkRefused, match=f"HTTP {status}"):
        OtlpTraces(client).send(traced())


def test_points_that_the_receiver_rejects_are_counted(receiver: OtlpReceiver, client: OtlpClient) -> None:
    answer = ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points = 2
    receiver.answers.append((200, answer.SerializeToString(), {}))
    sink = OtlpMetrics(client)
    refused = sink.send(emf_batch(*emf_lines(1.0), "garbage"))

    assert 2 == sink.counts()["data-points-rejected"]
    assert {"not-emf": 1} == refused


def test_an_answer_of_nonsense_is_still_a_200(receiver: OtlpReceiver, client: OtlpClient) -> None:
    receiver.answers.append((200, b"<html>all is well</html>", {}))

    assert {} == OtlpMetrics(client).send(emf_batch())


def test_nobody_there_is_a_reason_to_wait() -> None:
    client = OtlpClient(f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(SinkRetry, match="ConnectionError"):
        OtlpMetrics(client).send(emf_batch())
    client.close()


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206])
def test_every_success_is_one(receiver: OtlpReceiver, client: OtlpClient, status: int) -> None:
    receiver.answers.append((status, b"", {}))
    sink = OtlpMetrics(client)

    assert {} == sink.send(emf_batch())
    assert {"data-points"} == set(sink.counts())


@pytest.mark.parametrize("status", [300, 301, 302, 307, 304])
def test_being_sent_elsewhere_is_none(receiver: OtlpReceiver, client: OtlpClient, status: int) -> None:
    receiver.answers.append((status, b"", {"Location": "/elsewhere"}))

    with pytest.raises(SinkRetry, match=f"HTTP {status}"):
        OtlpMetrics(client).send(emf_batch())


@pytest.mark.parametrize(
    ("header", "after_s"),
    [
        ("7", 7.0),
        ("Sat, 28 Nov 2026 03:00:20 GMT", 20.0),
        ("Saturday, 28-Nov-26 03:00:20 GMT", 20.0),
        ("Sat, 28 Nov 2026 02:59:00 GMT", 0.0),
        ("Sun, 29 Nov 2026 03:00:00 GMT", 3600.0),
        ("9" * 5000, 3600.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("Sat, 99 Nov 2026 03:00:20 GMT", None),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("\u0663", None),
        ("", None),
        (None, None),
    ],
)
def test_how_long_to_wait_is_a_number_or_a_date(header: str | None, after_s: float | None) -> None:
    now_s = datetime(2026, 11, 28, 3, 0, tzinfo=timezone.utc).timestamp()

    assert after_s == retry_after_s(header, lambda: now_s)


def test_a_daemon_that_is_not_there_is_heard_of_and_gets_all_when_it_is() -> None:
    port = closed_port()
    sink = XRay(Daemon(f"127.0.0.1:{port}"))
    with pytest.raises(SinkRetry, match="ECONNREFUSED"):
        sink.send(traced())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", port))
        sink.send(traced())
        came = datagrams(daemon, 3)
    sink.close()

    assert 3 == len(came)
    assert {"subsegments": 3} == sink.counts(), "what nobody heard was not sent"


def test_a_daemon_is_reached_over_ipv6_and_where_the_sink_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{closed_port()}")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as daemon:
        try:
            daemon.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        (sink,) = make_sinks(f"xray:[::1]:{daemon.getsockname()[1]}", {})
        sink.send(traced())
        came = datagrams(daemon, 3)
    assert isinstance(sink, Closable)
    sink.close()

    assert 3 == len(came)


def test_what_the_environment_says_of_a_daemon_hinders_no_sink() -> None:
    """In a process of its own: the SDK reads the variable when it is imported."""
    code = (
        "import os; from tests.unit.sinks.test_spans import *; from afterglow_collector.sinks.xray_segments import *;"
        "span = spans_of(SpanMaker(own_traces=False), invocation(1, trace=TRACE))[0];"
        "print(document_of(span)[:1], os.environ['AWS_XRAY_DAEMON_ADDRESS'])"
    )
    environ = {**os.environ, "AWS_XRAY_DAEMON_ADDRESS": "[::1]:2000", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environ)

    assert "{ [::1]:2000\n" == done.stdout, done.stderr


def test_many_datagrams_arrive_at_a_reader_that_keeps_up() -> None:
    documents = [json.dumps({"number": number, "pad": "x" * 900}) for number in range(4000)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(5)
        reader = subprocess.Popen(
            [sys.executable, "-c", READER, str(daemon.fileno()), str(len(documents))],
            pass_fds=[daemon.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert reader.stdout is not None
        assert "ready\n" == reader.stdout.readline()
        sender = Daemon(f"127.0.0.1:{daemon.getsockname()[1]}")
        sender.deliver(documents)
        sender.close()
        came, _ = reader.communicate(timeout=30)

    assert "4000\n" == came


READER = """
import socket, sys
daemon = socket.socket(fileno=int(sys.argv[1]))
daemon.settimeout(5)
print("ready", flush=True)
count = 0
try:
    while count < int(sys.argv[2]):
        daemon.recv(65536)
        count += 1
except TimeoutError:
    pass
print(count)
"""


def test_a_datagram_that_the_system_does_not_take_holds_up_no_other() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        made = Daemon(f"127.0.0.1:{daemon.getsockname()[1]}")
        refused = made.deliver(["a", "x" * 70_000, "b"])
        came = [data.rpartition(b"\n")[2] for data in datagrams(daemon, 2)]
        made.close()

    assert ([b"a", b"b"], {"too-large-for-udp": 1}) == (came, refused)
