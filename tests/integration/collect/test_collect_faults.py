"""What must not lose or double a count: crashes, full disks, damage, repeats, disorder, clients that mean no good."""

import asyncio
import gzip
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.collect.conftest import Start
from tests.integration.collect.running import LIMIT_S, Collector
from tests.unit.collect.samples import body, call, environment, now_ms

from afterglow_collector.collect.outbox import Outbox

HOUR_MS = 3_600_000


class Sender(threading.Thread):
    """An environment that sends its batches in order, and each again until it is answered."""

    def __init__(self, server: Collector, name: str, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.server = server
        self.stop = stop
        self.seq = 0
        self.calls = 0
        self.duration_ms = 0.0
        self.again = 0

    def run(self) -> None:
        chance = random.Random(self.name)
        env = environment(self.name, function=f"function-{self.name}")
        while not self.stop.is_set():
            self.seq += 1
            durations = [chance.randrange(1, 100_000) / 8 for _ in range(chance.randrange(0, 60))]
            text = body(*(call(now_ms(), duration) for duration in durations), env=env)
            self._until_taken(gzip.compress(text) if chance.random() < 0.5 else text)
            self.calls += len(durations)
            self.duration_ms += sum(durations)

    def _until_taken(self, text: bytes) -> None:
        packed = {"Content_Encoding": "gzip"} if text[:2] == b"\x1f\x8b" else {}
        while True:
            client = self.server.client()
            try:
                if client.post(self.seq, text, **packed).status == 202:
                    return
            except (OSError, HTTPException):
                time.sleep(0.01)  # the server is down: as a sender would, come again soon
            finally:
                client.close()
            self.again += 1


def under_load(server: Collector, kills: int, load_s: float) -> list[Sender]:
    """Kill the server ``kills`` times while six senders send; return them when all is answered."""
    stop = threading.Event()
    senders = [Sender(server, f"env-{number}", stop) for number in range(6)]
    for sender in senders:
        sender.start()
    chance = random.Random(kills)
    for _ in range(kills):
        time.sleep(load_s * chance.uniform(0.2, 1.8))  # any moment is as good as any other
        server.kill()
        server.start()
    time.sleep(load_s)
    stop.set()
    for sender in senders:
        sender.join(LIMIT_S)
        assert not sender.is_alive(), f"{sender.name} has not been answered\n{server.said()}"
    return senders


def assert_exact(server: Collector, senders: list[Sender]) -> None:
    documents = server.published()
    durations = [document["DurationMs"] for document in documents if "DurationMs" in document]
    distributions = [one if isinstance(one, dict) else {"Count": 1, "Sum": one} for one in durations]

    assert sum(sender.calls for sender in senders) == server.totals("Invocations")
    assert sum(sender.calls for sender in senders) == sum(one["Count"] for one in distributions)
    assert round(1000 * sum(sender.duration_ms for sender in senders)) == round(
        1000 * sum(one["Sum"] for one in distributions)
    )


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_kill_9_under_load_loses_and_doubles_nothing(collector: Start, kills: int) -> None:
    server = collector("--checkpoint-mb", "1")
    senders = under_load(server, kills, load_s=0.5)
    assert server.metrics()["records_total"] == sum(sender.calls for sender in senders)

    assert 0 == server.stop(), server.said()
    assert_exact(server, senders)
    assert sum(sender.calls for sender in senders) > 100
    assert "ERROR" not in server.said(), server.said()


def test_a_stop_under_load_answers_what_it_has_counted(collector: Start) -> None:
    server = collector()
    stop = threading.Event()
    senders = [Sender(server, f"env-{number}", stop) for number in range(6)]
    for sender in senders:
        sender.start()
    for _ in range(2):
        time.sleep(0.3)
        assert 0 == server.stop(), server.said()
        server.start()
    stop.set()
    for sender in senders:
        sender.join(LIMIT_S)

    assert 0 == server.stop()
    assert_exact(server, senders)


def test_the_state_is_saved_and_the_journal_goes(collector: Start) -> None:
    server = collector("--checkpoint-mb", "1")
    client = server.client()
    text = body(*(call(now_ms(), n / 7) for n in range(1_000)))
    seq = 0
    while not list((server.data / "checkpoints").glob("*.log")):
        seq += 1
        assert 202 == client.post(seq, text).status
    server.kill()
    server.start()

    assert "restored the state of entry" in server.said()
    assert seq * 1_000 == server.metrics()["records_total"]


def allow_file_size(server: Collector, size_bytes: int) -> None:
    resource.prlimit(server.running.pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


def test_a_full_disk_is_told_and_nothing_acknowledged_is_lost(collector: Start) -> None:
    """A limit on the process's file size stands for the disk: writes fail half way, as they do there."""
    server = collector()
    client = server.client()
    assert 202 == client.send(1, call(now_ms())).status
    allow_file_size(server, 400)
    text = body(*(call(now_ms()) for _ in range(20)))
    refused = [client.post(seq, text) for seq in (2, 2, 3)]
    unready = client.ask("GET", "/readyz")
    allow_file_size(server, resource.RLIM_INFINITY)
    taken = [client.post(seq, text).status for seq in (2, 3, 2)]

    assert [503] * 3 == [answer.status for answer in refused]
    assert all("retry-after" in answer.headers for answer in refused)
    assert "could not be made durable: File too large" in refused[0].json["detail"]
    assert (503, True) == (unready.status, "nothing can be made durable" in unready.json["detail"])
    assert [202] * 3 == taken
    assert 200 == client.ask("GET", "/readyz").status
    server.kill()
    server.start()
    assert 0 == server.stop()
    assert 41 == server.totals()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True, check=False
    ).returncode:
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_fills_up_and_gets_room_again(collector: Start, small_disk: Path, tmp_path: Path) -> None:
    server = collector("--sink", f"file:{tmp_path}/out", data=small_disk / "data")
    client = server.client()
    text = body(*(call(now_ms()) for _ in range(50)))
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(500_000))
    statuses = []
    while 503 not in statuses:
        statuses.append(client.post(len(statuses) + 1, text).status)
    ballast.unlink()
    statuses += [client.post(seq, text).status for seq in (len(statuses), len(statuses) + 1)]

    assert {202, 503} == set(statuses)
    assert [202, 202] == statuses[-2:]
    assert 0 == server.stop(), server.said()
    assert 50 * statuses.count(202) == server.totals()


def test_a_disk_that_cannot_be_written_keeps_it_from_starting(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    command = [sys.executable, "-m", "afterglow_layer", "collect", "--data", str(small_disk / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)

    assert done.returncode == 1
    assert "Read-only file system" in done.stderr.splitlines()[-1]


def journal_of(server: Collector) -> Path:
    return sorted((server.data / "journal").glob("*.log"))[-1]


def written_bytes(server: Collector) -> int:
    """Where the written part ends, in the room that was reserved."""
    return len(journal_of(server).read_bytes().rstrip(b"\0"))


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_torn_journal_costs_only_what_was_torn(collector: Start, cut: int) -> None:
    server = collector()
    for seq in (1, 2, 3):
        server.client().send(seq, call(now_ms()))
    server.kill()
    os.truncate(journal_of(server), written_bytes(server) - cut)
    server.start()

    assert "never acknowledged" in server.said()
    assert 2 == server.metrics()["records_total"]
    assert 202 == server.client().send(3, call(now_ms())).status
    assert 3 == server.metrics()["records_total"]


def test_a_damaged_journal_is_put_aside_and_told_and_the_rest_counts(collector: Start) -> None:
    server = collector()
    for seq in (1, 2, 3):
        server.client().send(seq, call(now_ms()))
    server.kill()
    text = bytearray(journal_of(server).read_bytes())
    text[written_bytes(server) // 2] ^= 1
    journal_of(server).write_bytes(text)
    server.start()

    assert "are damaged (CRC); copied to quarantine/" in server.said()
    assert "entries 2 to 2 are missing" in server.said()
    assert 2 == server.metrics()["records_total"]
    assert 1 == len(list((server.data / "journal" / "quarantine").iterdir()))


def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(collector: Start) -> None:
    server = collector()
    for seq in (1, 2, 3):
        assert 202 == server.client().send(seq, call(now_ms())).status
        assert 0 == server.stop()
        server.start()
    server.kill()
    young = sorted((server.data / "checkpoints").glob("*.log"))[-1]
    young.write_bytes(young.read_bytes()[:-5])
    server.start()

    assert f"checkpoint {young.name} is damaged" in server.said()
    assert 3 == server.metrics()["records_total"]
    assert 0 == server.stop()
    assert 3 == server.totals()


def test_repeated_and_disordered_batches_count_once_also_after_a_crash(collector: Start) -> None:
    server = collector()
    order = [seq for seq in range(40) for _ in range(3)]
    random.Random(1).shuffle(order)
    for part in (order[:40], order[40:80], order[80:]):
        client = server.client()
        assert {202} == {client.send(seq, call(now_ms())).status for seq in part}
        server.kill()
        server.start()

    assert 40 == server.metrics()["records_total"]


def test_a_batch_from_too_long_ago_is_not_counted_and_not_acknowledged(collector: Start) -> None:
    server = collector()
    client = server.client()

    assert [202, 409, 202] == [client.send(seq, call(now_ms())).status for seq in (100, 36, 37)]
    assert 1 == server.metrics()["unknowable_batches_total"]


def test_the_same_batch_at_once_on_many_connections_counts_once(collector: Start) -> None:
    server = collector()
    clients = [server.client() for _ in range(20)]
    text = body(*(call(now_ms()) for _ in range(100)))
    answers = list[int]()
    threads = [threading.Thread(target=lambda one=one: answers.append(one.post(1, text).status)) for one in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)

    assert [202] * 20 == answers
    assert (100, 19) == tuple(server.metrics()[name] for name in ("records_total", "duplicate_batches_total"))


def test_clocks_may_differ_within_reason(collector: Start) -> None:
    """Late records count for their own minute; what CloudWatch would not take is refused with the reason."""
    server = collector()
    now = now_ms()
    skews = {"now": 0, "behind": -3 * HOUR_MS, "old": -13 * 24 * HOUR_MS, "ahead": 300_000}
    for name, skew in skews.items():
        assert 1 == server.client().send(1, call(now + skew), env=environment(name)).json["accepted"]
    refused = [
        server.client().send(1, call(now + skew), env=environment(f"bad {skew}")).json["refusals"][0]["reason"]
        for skew in (-15 * 24 * HOUR_MS, HOUR_MS)
    ]

    assert ["too old", "from the future"] == [reason.partition(":")[0] for reason in refused]
    assert 2 == server.metrics()["late_records_total"]
    assert 0 == server.stop()
    assert sorted((now + skew) // 60_000 * 60_000 for skew in skews.values()) == sorted(
        document["_aws"]["Timestamp"] for document in server.published()
    )


def test_a_thousand_senders_at_once(collector: Start) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1_200:
        pytest.skip(f"only {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1_200), hard))
    server = collector()
    head = "POST /v1/records HTTP/1.1\r\nhost: x\r\nafterglow-seq: {}\r\ncontent-length: {}\r\n\r\n"

    async def send(number: int) -> list[str]:
        text = body(*(call(now_ms()) for _ in range(5)), env=environment(f"env-{number}"))
        reader, writer = await asyncio.open_unix_connection(server.socket)
        statuses = []
        for seq in (1, 2):
            writer.write(head.format(seq, len(text)).encode() + text)
            answer = await reader.readuntil(b"}")
            statuses.append(answer[9:12].decode())
        writer.close()
        return statuses

    async def send_all() -> list[list[str]]:
        return await asyncio.wait_for(asyncio.gather(*map(send, range(1_000))), LIMIT_S)

    assert [["202", "202"]] * 1_000 == asyncio.run(send_all())
    assert (10_000, 1_000) == tuple(server.metrics()[name] for name in ("records_total", "environments"))


def test_connections_beyond_the_limit_are_told_so(collector: Start) -> None:
    server = collector("--max-connections", "3")
    kept = [server.connect() for _ in range(3)]
    for connection in kept:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")

    assert server.connect().recv(100).startswith(b"HTTP/1.1 503")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /v1/rec",
        b"POST /v1/records HTTP/1.1\r\nhost: x\r\nafterglow-seq: 1\r\n",
        b"POST /v1/records HTTP/1.1\r\nhost: x\r\nafterglow-seq: 1\r\ncontent-length: 100\r\n\r\nslow",
    ],
)
def test_who_sends_too_slowly_is_hung_up_on(hasty: Collector, sent: bytes) -> None:
    connection = hasty.connect()
    connection.sendall(sent)
    answer = b""
    while part := connection.recv(1000):  # ends when the server hangs up; the socket's own limit is far longer
        answer += part

    assert answer.startswith(b"HTTP/1.1 408 Request Timeout")


def test_who_says_nothing_between_requests_is_hung_up_on_without_a_word(hasty: Collector) -> None:
    connection = hasty.connect()
    connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    answer = b""
    while part := connection.recv(1000):
        answer += part

    assert answer.count(b"HTTP/1.1") == 1


def test_slow_clients_do_not_keep_others_waiting(collector: Start) -> None:
    server = collector()
    slow = [server.connect() for _ in range(200)]
    for connection in slow:
        connection.sendall(b"POST /v1/records HTTP/1.1\r\nhost: x\r\nafterglow-seq: 1\r\ncontent-length: 9\r\n\r\n")

    assert 202 == server.client().send(1, call(now_ms())).status
    for connection in slow:
        connection.close()


def test_who_does_not_read_its_answers_is_not_read_any_more(hasty: Collector) -> None:
    connection = hasty.connect()
    connection.setblocking(False)
    request = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n"
    sent = 0
    ends_s = time.monotonic() + LIMIT_S
    try:
        while time.monotonic() < ends_s:
            try:
                sent += connection.send(request * 100)
            except BlockingIOError:
                time.sleep(0.02)
    except (BrokenPipeError, ConnectionResetError):
        pass

    assert time.monotonic() < ends_s, f"{sent} bytes sent, and not hung up on"
    assert 200 == hasty.client().ask("GET", "/healthz").status


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """A collector that waits for a second, and no longer."""
    options = ("--request-timeout-s", "1", "--idle-timeout-s", "1")
    one = Collector(tmp_path_factory.mktemp("hasty") / "data", *options).start()
    yield one
    one.end()


texts = st.binary(max_size=200) | st.sampled_from(
    [body(call()), body(call())[:-3], body(), gzip.compress(body(call())), body(call()).replace(b":", b";")]
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Afterglow-Seq": st.sampled_from(["1", "0", "-1", "1.0", "99999999999999999", "\u00b2", "x"]),
        "Content-Encoding": st.sampled_from(["gzip", "zstd", "identity", "br", ""]),
        "Content-Type": st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=9),
        "Authorization": st.just("Bearer x"),
    },
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts, headers=headers)
def test_no_body_and_no_header_makes_it_fail(shared: Collector, text: bytes, headers: dict[str, str]) -> None:
    client = shared.client()
    named = {name.replace("-", "_"): value.encode().decode("latin-1") for name, value in headers.items()}
    answer = client.ask("POST", "/v1/records", text, **named)
    client.close()

    assert answer.status in (202, 400, 409, 413, 415), answer
    assert answer.json


@settings(max_examples=150)
@given(
    sent=st.binary(max_size=300)
    | st.lists(
        st.sampled_from(
            [
                b"POST /v1/records HTTP/1.1\r\n",
                b"GET / HTTP/1.0\r\n",
                b"content-length: 3\r\n",
                b"transfer-encoding: chunked\r\n",
                b"\r\n",
                b"3\r\nabc\r\n",
                b"0\r\n\r\n",
                b"host: x\r\n",
                b"expect: 100-continue\r\n",
                b"\0",
                b"abc",
            ]
        ),
        max_size=12,
    ).map(b"".join)
)
def test_no_bytes_make_it_fail(shared: Collector, sent: bytes) -> None:
    connection = shared.connect()
    connection.sendall(sent)
    connection.shutdown(socket.SHUT_WR)
    answer = b""
    try:
        while part := connection.recv(65536):
            answer += part
    except ConnectionResetError:
        pass
    connection.close()

    assert b"HTTP/1.1 5" not in answer
    assert shared.running.poll() is None


def test_a_sink_that_is_gone_keeps_nobody_waiting_and_loses_nothing(collector: Start, tmp_path: Path) -> None:
    gone = tmp_path / "in-the-way" / "out"
    gone.parent.write_text("a file where the sink needs a folder")
    server = collector("--sink", f"file:{gone}", "--drain-s", "1")
    assert 202 == server.client().send(1, call(now_ms())).status
    assert 0 == server.stop()
    assert "not all was sent" in server.said()

    gone.parent.unlink()
    server.start()
    assert 0 == server.stop()
    assert 1 == gone.read_text().count('"Invocations":1')


def test_a_second_signal_stops_the_waiting(collector: Start) -> None:
    server = collector("--drain-s", "600")
    connection = server.connect()
    connection.sendall(b"POST /v1/records HTTP/1.1\r\nhost: x\r\n")
    server.running.send_signal(signal.SIGTERM)
    while "stopping: 1 connections" not in server.said():
        pass

    assert 0 == server.stop(signal.SIGTERM)


def test_the_outbox_survives_the_collector(collector: Start) -> None:
    server = collector()
    server.client().send(1, call(now_ms()))
    server.stop()
    outbox = Outbox(server.data / "outbox")

    assert ["emf"] == [entry.kind for entry in outbox.read(0, 10)]
