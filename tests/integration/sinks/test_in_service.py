"""Sinks in a real collector: what is wrong with one is seen at once, and a dead one takes no more than it may."""

import time
from collections.abc import Callable

import pytest
from tests.integration.collect.conftest import Start, collector
from tests.integration.collect.running import LIMIT_S, Collector
from tests.integration.sinks.stage import OtlpReceiver, closed_port, serving
from tests.unit.collect.samples import body, call, finding, now_ms

from afterglow.records import encode

__all__ = ["collector"]


def until(holds: Callable[[], bool], otherwise: Callable[[], object]) -> None:
    """Wait until it holds."""
    by_s = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < by_s, otherwise()
        time.sleep(0.02)


def ready(server: Collector) -> str:
    answer = server.client().ask("GET", "/readyz")

    assert 200 == answer.status, "a sink that is dead keeps no batch from being taken"
    return answer.text.decode()


def test_a_dead_sink_is_seen_in_the_log_and_by_whoever_asks_whether_it_is_ready(collector: Start) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    server = collector("--sink", f"otlp:{url}?metrics=off")
    before = ready(server)
    assert 202 == server.client().send(1, call(now_ms())).status
    until(lambda: "has been failing" in ready(server), server.said)

    assert "ready\n" == before
    assert "sink otlp traces has been failing for" in ready(server)
    assert url not in ready(server), "anybody may ask"
    assert f"sink otlp traces {url}: ConnectionError; what it has not taken waits, and is tried again" in server.said()
    until(lambda: server.metrics()["sink_counters_total"] >= 3, server.said)
    assert 1 == server.said().count("is tried again"), "it is told now and then, not at each try"


def test_what_a_sink_gets_in_the_end_is_told_as_well(collector: Start) -> None:
    receiver = OtlpReceiver()
    receiver.answers += [(503, b"", {})] * 2
    with serving(receiver) as url:
        server = collector("--sink", f"otlp:{url}?metrics=off")
        assert 202 == server.client().send(1, call(now_ms())).status
        until(lambda: bool(receiver.taken), server.said)
        until(lambda: "works again" in server.said(), server.said)

    assert "ready\n" == ready(server)
    assert "HTTP 503; what it has not taken waits" in server.said()


def test_what_is_refused_for_ever_is_told(collector: Start) -> None:
    receiver = OtlpReceiver()
    receiver.answers += [(400, b"", {})]
    with serving(receiver) as url:
        server = collector("--sink", f"otlp:{url}?metrics=off")
        assert 202 == server.client().send(1, call(now_ms())).status
        until(lambda: "given up" in server.said(), server.said)

    assert "1 entries given up: HTTP 400" in server.said()


def test_a_dead_sink_with_an_allowance_leaves_room_for_the_others(collector: Start) -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    server = collector("--sink", f"otlp:{url}?metrics=off&queue-mb=1", "--max-ratio", "10000")
    client = server.client()
    text = body(*(call(now_ms(), error_message="x" * 1000) for _ in range(600)))
    sent = 0
    while sent < 80:
        sent += 1
        assert 202 == client.post(sent, text).status
    most = 2 * 16 * 2**20 + 2**20  # a segment that is full, one that is written, and what may wait
    until(lambda: server.metrics()["outbox_bytes"] <= most, server.metrics)

    assert len(text) * sent > 2 * most, "without an allowance it would have held this"
    assert server.metrics()["sink_refused_total"] > sent / 2
    assert "entries given up: beyond queue-mb=1" in server.said()


def test_two_sinks_whose_names_look_alike_each_get_everything(collector: Start, tmp_path: object) -> None:
    server = collector("--sink", f"file:{tmp_path}/x/y", "--sink", f"file:{tmp_path}/x_y")
    assert 202 == server.client().send(1, call(now_ms())).status
    assert 0 == server.stop()

    assert 2 == len(list((server.data / "cursors").glob("*.cursor"))), list((server.data / "cursors").iterdir())


REFUSED = (
    encode(call(-5)),
    encode(call(1 << 62)),
    encode(call(now_ms(), status="x" * 60_000)),
    encode(call(now_ms(), error_type="\ud800")),
    encode(call(now_ms())).replace('"duration_ms":10.0', '"duration_ms":' + "9" * 4000),
)
ACCEPTED = (
    encode(call(now_ms(), duration_ms=1e308)),
    encode(finding(now_ms(), returned_at_ms=-5.0)),
    encode(finding(now_ms(), returned_at_ms=1e14, wall_ms=1e308)),
)


def has_come(receiver: OtlpReceiver, words: str) -> bool:
    return any(words.encode() in text for _, text in receiver.taken)


@pytest.mark.parametrize("line", [*REFUSED, *ACCEPTED], ids=range(len(REFUSED + ACCEPTED)))
def test_one_line_of_a_sender_stops_no_sink(collector: Start, line: str) -> None:
    receiver = OtlpReceiver()
    with serving(receiver) as url:
        server = collector("--sink", f"otlp:{url}?metrics=off")
        client = server.client()
        assert 202 == client.post(1, b"\n".join((body(), line.encode("utf-8", "surrogatepass")))).status
        for number in range(2, 22):
            assert 202 == client.send(number, call(now_ms(), request_id=f"good-{number}")).status
        until(lambda: all(has_come(receiver, f"good-{number}") for number in range(2, 22)), server.said)
        until(lambda: 0 == server.metrics()["sink_lag_entries"], server.said)

    assert "Traceback" not in server.said()
    assert "ready\n" == ready(server)
