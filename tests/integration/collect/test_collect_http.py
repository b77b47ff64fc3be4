"""The interface, over real sockets: what is taken, how it is answered, who may ask."""

import gzip
import json
import os
import signal
import socket
import ssl
from pathlib import Path

import pytest
import zstandard
from tests.integration.collect.certificates import Certificate
from tests.integration.collect.conftest import Start
from tests.integration.collect.running import LIMIT_S, Collector
from tests.unit.collect.samples import body, call, environment, finding, now_ms, overhead

from afterglow.aggregate import Aggregate
from afterglow.emf import Emitter, encode
from afterglow_collector.emf_check import check

TOKEN, OTHER = "token-of-the-tests-1", "token-of-the-tests-2"


def read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_a_batch_is_taken_once_however_it_is_packed(collector: Start) -> None:
    server = collector()
    client, text = server.client(), body(call(now_ms()), call(now_ms()))
    answers = [
        client.post(1, text),
        client.post(2, gzip.compress(text), Content_Encoding="gzip"),
        client.post(3, zstandard.compress(text), Content_Encoding="zstd"),
        client.post(2, text),
    ]

    assert [202] * 4 == [answer.status for answer in answers]
    assert [False, False, False, True] == [answer.json["duplicate"] for answer in answers]
    assert 0 == server.stop()
    assert 6 == server.totals()


def test_bad_lines_are_named_and_the_good_ones_counted(collector: Start) -> None:
    server = collector()
    text = body(call(now_ms()), call(now_ms()), call(now_ms())).replace(b'"cold":false', b'"cold":"no"', 1)
    answer = server.client().post(1, text + b"\nnonsense")

    assert (202, 2, 2) == (answer.status, answer.json["accepted"], answer.json["refused"])
    assert [(2, "cold"), (5, None)] == [(one["line"], one["field"]) for one in answer.json["refusals"]]
    assert 2 == server.metrics()["refused_records_total"]


@pytest.mark.parametrize(
    ("headers", "text", "status", "said"),
    [
        ({}, body(), 400, "Afterglow-Seq is missing"),
        ({"Afterglow_Seq": "one"}, body(), 400, "no whole number"),
        ({"Afterglow_Seq": "-1"}, body(), 400, "no whole number"),
        ({"Afterglow_Seq": "9" * 30}, body(), 400, "no whole number"),
        ({"Afterglow_Seq": "1"}, b"", 400, "must be the batch's Environment"),
        ({"Afterglow_Seq": "1"}, b"[1]", 400, "must be the batch's Environment"),
        ({"Afterglow_Seq": "1", "Content_Encoding": "br"}, body(), 415, "send identity, gzip or zstd"),
        ({"Afterglow_Seq": "1", "Content_Encoding": "gzip"}, body(), 400, "cannot be unpacked"),
        (
            {"Afterglow_Seq": "1", "Content_Encoding": "zstd"},
            zstandard.compress(bytes(1 << 26)),
            413,
            "unpacks to more",
        ),
        ({"Afterglow_Seq": "1", "Content_Encoding": "gzip"}, gzip.compress(bytes(1 << 26)), 413, "unpacks to more"),
        ({"Afterglow_Seq": "1"}, bytes((1 << 20) + 1), 413, "a body has at most 1048576 bytes"),
    ],
)
def test_a_batch_that_cannot_be_taken_is_told_why(
    shared: Collector, headers: dict[str, str], text: bytes, status: int, said: str
) -> None:
    answer = shared.client().ask("POST", "/v1/records", text, **headers)

    assert status == answer.status
    assert said in answer.json["detail"]
    assert "application/problem+json" == answer.headers["content-type"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("HEAD", "/readyz", 200),
        ("GET", "/readyz?why=not", 200),
        ("GET", "/metrics", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/v1/findings", 200),
        ("GET", "/v1/records", 405),
        ("DELETE", "/metrics", 405),
        ("GET", "/", 404),
        ("GET", "/v1/records/", 404),
    ],
)
def test_paths_and_methods(shared: Collector, method: str, path: str, status: int) -> None:
    answer = shared.client().ask(method, path)

    assert status == answer.status
    assert (method == "HEAD") == (answer.text == b"")
    assert (status == 405) == ("allow" in answer.headers)


def test_requests_in_a_row_are_answered_in_their_order(shared: Collector) -> None:
    """Some need the disk and some do not; HTTP/1.1 has them answered as they came."""
    text = body(call(now_ms()), env=environment("pipelined"))
    batch = b"POST /v1/records HTTP/1.1\r\nhost: x\r\nafterglow-seq: %d\r\ncontent-length: %d\r\n\r\n%b"
    look = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET /nope HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    connection = shared.connect()
    connection.sendall(b"".join(batch % (seq, len(text), text) + look for seq in range(1, 41)) + last)
    answered = read_all(connection)
    statuses = [part[:3] for part in answered.split(b"HTTP/1.1 ")[1:]]

    assert [b"202", b"200"] * 40 + [b"404"] == statuses


@pytest.mark.parametrize("durability", ["disk", "none"])
def test_a_client_that_says_no_more_gets_all_its_answers(collector: Start, durability: str) -> None:
    """It sends two batches and a health check, and shuts its side down before it reads."""
    server = collector("--durability", durability)
    text = body(call(now_ms()))
    batch = b"POST /v1/records HTTP/1.1\r\nhost: x\r\nafterglow-seq: %d\r\ncontent-length: %d\r\n\r\n%b"
    connection = server.connect()
    connection.sendall(batch % (1, len(text), text) + batch % (2, len(text), text) + b"GET /healthz HTTP/1.1\r\n\r\n")
    connection.shutdown(socket.SHUT_WR)

    assert [b"202", b"202", b"200"] == [part[:3] for part in read_all(connection).split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("durability", ["disk", "none"])
def test_what_is_no_request_is_answered_behind_those_before_it(collector: Start, durability: str) -> None:
    connection = collector("--durability", durability).connect()
    connection.sendall(2 * b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" + b"nonsense\r\n\r\n")

    assert [b"200", b"200", b"400"] == [part[:3] for part in read_all(connection).split(b"HTTP/1.1 ")[1:]]


def test_a_body_may_come_in_chunks_and_in_single_bytes(shared: Collector) -> None:
    text = body(call(now_ms()), env=environment("chunked"))
    head = b"POST /v1/records HTTP/1.1\r\nhost: x\r\nafterglow-seq: 1\r\n"
    head += b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(text[at : at + 7]), text[at : at + 7]) for at in range(0, len(text), 7))
    connection = shared.connect()
    for byte in head + chunks[:100]:
        connection.send(bytes([byte]))
    connection.sendall(chunks[100:] + b"0\r\n\r\n")

    assert b'"accepted":1' in read_all(connection)


def test_a_client_that_asks_first_is_told_to_go_on(shared: Collector) -> None:
    text = body(call(now_ms()), env=environment("expecting"))
    head = b"POST %b HTTP/1.1\r\nhost: x\r\nafterglow-seq: 1\r\nexpect: 100-continue\r\n"
    head += b"content-length: %d\r\nconnection: close\r\n\r\n"
    connection = shared.connect()
    connection.sendall(head % (b"/v1/records", len(text)))
    assert b"HTTP/1.1 100 Continue\r\n\r\n" == connection.recv(1000)
    connection.sendall(text)
    assert b'"accepted":1' in read_all(connection)

    refused = shared.connect()
    refused.sendall(head % (b"/nope", len(text)))
    assert read_all(refused).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", b"400"),
        (b"POST /v1/records HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nx: " + b"y" * 20_000, b"431"),
        (b"GET /" + b"y" * 20_000, b"431"),
        (b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nframes", b"404"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),
    ],
)
def test_what_is_no_http_is_answered_and_hung_up_on(shared: Collector, sent: bytes, status: bytes) -> None:
    connection = shared.connect()
    connection.sendall(sent)

    assert b"HTTP/1.1 " + status == read_all(connection)[:12]


def test_only_who_shows_a_token_may_send_or_read(collector: Start, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{TOKEN}\n")
    server = collector("--token-file", str(file), environ={"AFTERGLOW_COLLECT_TOKENS": OTHER})
    client = server.client()
    text = body(call(now_ms()))

    assert [401, 401] == [client.post(1, text).status, client.post(1, text, Authorization="Bearer x").status]
    assert [401, 401] == [client.ask("GET", path).status for path in ("/metrics", "/v1/findings")]
    assert [200, 200] == [client.ask("GET", path).status for path in ("/healthz", "/readyz")]
    assert "Bearer" == client.ask("GET", "/metrics").headers["www-authenticate"]
    for seq, token in enumerate((TOKEN, OTHER), 1):
        assert 202 == client.post(seq, text, Authorization=f"Bearer {token}").status
    assert 5 == server.metrics(Authorization=f"Bearer {OTHER}")["unauthorized_requests_total"]


def test_tokens_change_while_it_runs(collector: Start, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{TOKEN}\n")
    server = collector("--token-file", str(file))
    client = server.client()
    file.write_text(f"{OTHER}\n")
    server.running.send_signal(signal.SIGHUP)
    while client.ask("GET", "/metrics", Authorization=f"Bearer {OTHER}").status != 200:
        pass

    assert 401 == client.ask("GET", "/metrics", Authorization=f"Bearer {TOKEN}").status


def test_tls(collector: Start, certificate: Certificate) -> None:
    server = collector("--listen", "127.0.0.1:0", "--tls-cert", str(certificate.both))
    trust = ssl.create_default_context(cafile=certificate.trusted)
    assert server.address.startswith("https://127.0.0.1:")
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT_S) as plain,
        trust.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert b"HTTP/1.1 200 OK" in read_all(connection)


def test_a_new_certificate_is_shown_after_a_sighup(collector: Start, certificate: Certificate) -> None:
    server = collector("--listen", "127.0.0.1:0", "--tls-cert", str(certificate.both))
    before = ssl.get_server_certificate(("127.0.0.1", server.port))
    certificate.renew()
    server.running.send_signal(signal.SIGHUP)
    while "read tokens and certificate again" not in server.said():
        assert server.running.poll() is None

    assert certificate.trusted.read_text() == ssl.get_server_certificate(("127.0.0.1", server.port)) != before


def test_two_collectors_do_not_share_a_folder(collector: Start, tmp_path: Path) -> None:
    collector(data=tmp_path / "data")
    with pytest.raises(AssertionError, match="another collector works there"):
        collector("--listen", "127.0.0.1:0", data=tmp_path / "data")


def test_its_socket_is_this_users_and_gone_after_a_stop(collector: Start) -> None:
    server = collector()

    assert 0o600 == os.stat(server.socket).st_mode & 0o777
    assert 0 == server.stop()
    assert not server.socket.exists()


def test_what_is_published_is_what_the_embedded_mode_prints(collector: Start) -> None:
    """The same records through the sandbox's own aggregator and encoder: the same documents, to the last digit."""
    at_ms = now_ms() // 60_000 * 60_000 - 120_000
    environments = [environment(f"env-{number}", memory_mb=128 << number) for number in range(3)]
    server, aggregate = collector(), Aggregate()
    client = server.client()
    for number, env in enumerate(environments):
        calls = [call(at_ms + 1_000 * n, 1.1 * n + number, cold=not n, rss_bytes=n << 22) for n in range(90)]
        for seq, start in enumerate(range(0, 90, 30)):
            records = [*calls[start : start + 30], overhead(at_ms + start), finding(at_ms)]
            assert 202 == client.send(seq, *records, env=env).status
            for record in records:
                aggregate.add(env, record)
    assert 0 == server.stop()
    expected = encode(aggregate.take_all(), Emitter(), now_ms()).lines

    assert sorted(expected) == sorted(json.dumps(one, separators=(",", ":")) for one in server.published())
    assert [] == [problem for line in expected for problem in check(line, now_ms())]
    assert expected == [line for line in server.data.with_suffix(".out").read_text().splitlines() if "_aws" in line]


def test_findings_are_merged_and_can_be_asked_for(collector: Start) -> None:
    server = collector()
    for number in range(3):
        env = environment(f"env-{number}")
        server.client().send(1, finding(now_ms(), ("lingering", "lost"), request_id=f"r-{number}"), env=env)
    answer = server.client().ask("GET", "/v1/findings").json

    assert 1 == answer["sites"]
    assert {"lingering": 3, "resumed": 0, "lost": 3, "ended": 0} == answer["findings"][0]["counts"]
    assert 0 == server.stop()
    assert [3] == [summary["new"]["lost"] for summary in server.published("finding")]


def test_without_durability_nothing_is_written_but_what_is_finished(collector: Start) -> None:
    server = collector("--durability", "none")
    assert 202 == server.client().send(1, call(now_ms())).status
    assert not (server.data / "journal").exists()

    assert 0 == server.stop()
    assert '"Invocations":1' in server.data.with_suffix(".out").read_text()
