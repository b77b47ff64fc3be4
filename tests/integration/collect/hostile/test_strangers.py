"""What somebody without a token can do: speak HTTP, well or badly, as much of it as the line carries."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.collect.running import LIMIT_S, Collector
from tests.unit.collect.samples import body, call, environment, now_ms

TOKEN = "a-token-nobody-knows"
HEAD = b"POST /v1/records HTTP/1.1\r\nhost: x\r\nafterglow-seq: 1\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
MOST_MB = 60
"""By which a collector may grow while it is flooded: buffers of the kernel's and Python's, and no more."""


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector that asks for a token."""
    tokens = {"AFTERGLOW_COLLECT_TOKENS": TOKEN}
    one = Collector(tmp_path_factory.mktemp("closed") / "data", "--request-timeout-s", "20", environ=tokens).start()
    yield one
    one.end()


def rss_mb(server: Collector) -> float:
    pages = int(Path(f"/proc/{server.running.pid}/statm").read_text().split()[1])
    return pages * 4096 / (1 << 20)


def cpu_s(server: Collector) -> float:
    fields = Path(f"/proc/{server.running.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def flood(server: Collector, start: bytes, more: bytes, most_bytes: int = 200 << 20) -> tuple[int, bytes]:
    """Send until the server hangs up; return how much it took, and what it answered."""
    connection, sent = server.connect(), 0
    answer = b""
    try:
        connection.sendall(start)
        while sent < most_bytes:
            sent += connection.send(more)
    except OSError:
        pass
    connection.settimeout(LIMIT_S)
    try:
        while part := connection.recv(65536):
            answer += part
    except OSError:
        pass
    return sent, answer


@pytest.mark.parametrize(
    ("start", "more"),
    [
        pytest.param(CHUNKED, b"".join(b"h%d: " % n + b"x" * 4000 + b"\r\n" for n in range(16)), id="many trailers"),
        pytest.param(CHUNKED + b"h: ", b"x" * 65536, id="one trailer without end"),
        pytest.param(CHUNKED, b"x" * 65536, id="a trailer's name without end"),
        pytest.param(HEAD, b"h: x\r\n" * 10_000, id="many headers"),
        pytest.param(HEAD + b"h: ", b"x" * 65536, id="one header without end"),
        pytest.param(b"GET /", b"x" * 65536, id="a target without end"),
        pytest.param(
            HEAD + b"transfer-encoding: chunked\r\n\r\n1;", b"x" * 65536, id="a chunk's extension without end"
        ),
        pytest.param(
            HEAD.replace(b"/v1/records", b"/nowhere") + b"transfer-encoding: chunked\r\n\r\n",
            b"8000\r\n" + b"x" * 0x8000 + b"\r\n",
            id="a body that nobody wants, without end",
        ),
    ],
)
def test_what_has_no_end_is_ended_and_nothing_of_it_kept(closed: Collector, start: bytes, more: bytes) -> None:
    before_mb, before_s = rss_mb(closed), cpu_s(closed)
    sent, answer = flood(closed, start, more)

    assert sent < 50 << 20, "it goes on and on"
    assert rss_mb(closed) - before_mb < MOST_MB
    assert cpu_s(closed) - before_s < 3
    assert answer[:12] in (b"", b"HTTP/1.1 431", b"HTTP/1.1 401", b"HTTP/1.1 404"), answer[:200]
    assert 200 == closed.client().ask("GET", "/healthz").status


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nh: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET /healthz?" + b"x" * 60_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % n for n in range(5_000)) + b"\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"h: x\r\n" * 101 + b"\r\n",
        b"GET /healthz HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n" + b"h: x\r\n" * 101 + b"\r\n",
        b"GET /healthz HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nh: " + b"x" * 20_000 + b"\r\n\r\n",
    ],
)
def test_the_limit_on_heads_holds_also_for_one_that_comes_in_one_piece(closed: Collector, head: bytes) -> None:
    connection = closed.connect()
    connection.sendall(head)

    assert b"HTTP/1.1 431" == connection.recv(12)


def test_headers_in_a_trailer_mean_nothing(shared: Collector) -> None:
    text = body(call(now_ms()), env=environment("trailing"))
    connection = shared.connect()
    head = b"POST /v1/records HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    connection.sendall(head + b"%x\r\n%b\r\n0\r\nafterglow-seq: 1\r\n\r\n" % (len(text), text))

    assert b"Afterglow-Seq is missing" in connection.recv(65536)


@pytest.mark.parametrize(
    "twice",
    [
        b"afterglow-seq: 1\r\nafterglow-seq: 2\r\n",
        b"afterglow-seq: 1\r\ncontent-encoding: gzip\r\nContent-Encoding: identity\r\n",
        b"afterglow-seq: 1\r\nauthorization: Bearer x\r\nAuthorization: Bearer y\r\n",
        b"afterglow-seq: 1\r\nhost: y\r\n",
    ],
)
def test_a_header_that_comes_twice_is_refused(shared: Collector, twice: bytes) -> None:
    connection = shared.connect()
    connection.sendall(b"POST /v1/records HTTP/1.1\r\nhost: x\r\n" + twice + b"content-length: 0\r\n\r\n")
    answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"came twice" in answer


def test_many_requests_in_one_piece_are_answered_a_few_at_a_time(closed: Collector) -> None:
    """8,000 requests for the interface's description, some 300 MB of answers, and nobody who reads them."""
    before_mb = rss_mb(closed)
    connection = closed.connect()
    connection.setblocking(False)
    request, sent = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 2_000, 0
    ends_s = time.monotonic() + 2
    while time.monotonic() < ends_s:
        try:
            sent += connection.send(request)
        except (BlockingIOError, ConnectionError):
            time.sleep(0.05)

    assert sent > 20_000
    assert rss_mb(closed) - before_mb < MOST_MB
    assert 200 == closed.client().ask("GET", "/healthz").status


def test_thousands_of_requests_in_a_row_are_all_answered_in_order(shared: Collector) -> None:
    count = 5_000
    connection = shared.connect()
    text = b"".join(b"GET /%s HTTP/1.1\r\nhost: x\r\n\r\n" % (b"healthz" if n % 2 else b"nope") for n in range(count))
    connection.sendall(text + b"GET /nope HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    answered = b""
    while part := connection.recv(1 << 20):
        answered += part

    assert [b"404", b"200"] * (count // 2) + [b"404"] == [part[:3] for part in answered.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize(
    "smuggled",
    [
        b"content-length: 3\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 3\r\n",
        b"content-length: 3\r\ncontent-length: 3\r\n",
        b"content-length: 3, 3\r\n",
        b"content-length: +3\r\n",
        b"content-length: 99999999999999999999999\r\n",
        b"transfer-encoding: xchunked\r\n",
        b"transfer-encoding: chunked, gzip\r\n",
        b"transfer-encoding: \x0bchunked\r\n",
        b"x: a\n y: b\r\n",
        b"x: a\r\n folded\r\n",
        b"x: \0\r\n",
        b"x : y\r\n",
    ],
)
def test_what_two_readers_would_read_differently_is_refused(shared: Collector, smuggled: bytes) -> None:
    connection = shared.connect()
    connection.sendall(HEAD + smuggled + b"\r\n" + b"0\r\n\r\n")
    connection.shutdown(socket.SHUT_WR)
    answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"" == connection.recv(1), "the connection is closed behind it"


def test_what_is_no_request_does_not_get_in_front_of_answers_that_are_owed(shared: Collector) -> None:
    """A batch that waits for the disk, and nonsense behind it in the same piece: two answers, in this order."""
    text = body(call(now_ms()), env=environment("before nonsense"))
    connection = shared.connect()
    connection.sendall(HEAD + b"content-length: %d\r\n\r\n%b" % (len(text), text) + b"nonsense\r\n\r\n")
    answered = b""
    while part := connection.recv(65536):
        answered += part

    assert [b"202", b"400"] == [part[:3] for part in answered.split(b"HTTP/1.1 ")[1:]]


def test_small_chunks_take_no_more_memory_than_their_bytes(closed: Collector) -> None:
    before_mb = rss_mb(closed)
    head = HEAD + b"authorization: Bearer " + TOKEN.encode() + b"\r\ntransfer-encoding: chunked\r\n\r\n"
    connections = [closed.connect() for _ in range(5)]
    for connection in connections:
        connection.sendall(head + b"2\r\nxx\r\n" * 250_000)

    assert rss_mb(closed) - before_mb < MOST_MB, "5 times half a megabyte has to be kept, in pieces of 2 bytes"


def test_the_interface_is_described_at_the_price_of_any_answer(closed: Collector) -> None:
    client = closed.client()
    client.ask("GET", "/openapi.json")
    before_s = cpu_s(closed)
    for _ in range(500):
        client.ask("GET", "/openapi.json")

    assert cpu_s(closed) - before_s < 0.5 * 500 * 0.415e-3 * 5, "it is made anew for each"
