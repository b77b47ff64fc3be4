"""Records on their way: what waits is bounded and accounted for, what is not taken comes again, nothing ever waits."""

import gzip
import os
import re
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.unit.collect.samples import call, environment

from afterglow.address import parse_address
from afterglow.peer import Peer
from afterglow.shipping import ANSWER_WITHIN_NS, FIRST_PAUSE_NS, LONGEST_PAUSE_NS, OPEN_MS, Shipper
from afterglow.spool import DISK_BYTES, MEMORY_BYTES, Spool

LIMIT_S = 20
KB = 1024


class Batch(NamedTuple):
    """What came in."""

    seq: int
    headers: bytes
    lines: list[bytes]


class Collector:
    """A real server that answers each request by its script, and takes all once that is over. None: no answer."""

    def __init__(self, *script: bytes | None) -> None:
        self.script = list(script)
        self.batches: list[Batch] = []
        self.over = threading.Event()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as file:
                self._answer(connection, file.readline, file.read)

    def _answer(self, connection: socket.socket, readline: "object", read: "object") -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += readline()  # type: ignore[operator]
        length = int(re.search(rb"Content-Length: (\d+)", head)[1])  # type: ignore[index]
        lines = gzip.decompress(read(length)).splitlines()  # type: ignore[operator]
        self.batches.append(Batch(int(re.search(rb"Afterglow-Seq: (\d+)", head)[1]), head, lines))  # type: ignore[index]
        answer = self.script.pop(0) if self.script else b"202 Accepted\r\n"
        if answer is None:
            self.over.wait(LIMIT_S)
        else:
            connection.sendall(b"HTTP/1.1 " + answer + b"Content-Length: 0\r\n\r\n")

    def seqs(self) -> list[int]:
        return [batch.seq for batch in self.batches]

    def close(self) -> None:
        self.over.set()
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join(LIMIT_S)


class Ride:
    """A shipper with a clock of its own, and a collector."""

    def __init__(self, tmp: Path, *script: bytes | None) -> None:
        self.collector = Collector(*script)
        self.now_ns = 0
        where = parse_address(f"http://127.0.0.1:{self.collector.server.getsockname()[1]}")
        self.shipper = Shipper(Peer(where), "the-token", environment(), lambda: self.now_ns, str(tmp))

    def seal(self, count: int = 1) -> None:
        """Close so many batches of one record each."""
        for _ in range(count):
            self.shipper.accept(call())
            self.shipper.flush(0, final=True)

    def one_try(self) -> None:
        """Go on as the loop does, until a try is over."""
        self.shipper.step(may_start=True)
        poller = select.poll()
        while waiting_for := self.shipper.poll_for():
            for descriptor, mask in waiting_for.items():
                poller.register(descriptor, mask)
                assert poller.poll(LIMIT_S * 1000), "nothing came"
                poller.unregister(descriptor)
            self.shipper.step(may_start=False)


@pytest.fixture
def rides(tmp_path: Path) -> Iterator["Rides"]:
    made = Rides(tmp_path)
    yield made
    for ride in made.rides:
        ride.collector.close()


class Rides:
    """Makes rides, and remembers them."""

    def __init__(self, tmp: Path) -> None:
        self.tmp = tmp
        self.rides: list[Ride] = []

    def __call__(self, *script: bytes | None) -> Ride:
        self.rides.append(Ride(self.tmp, *script))
        return self.rides[-1]


def test_batches_arrive_in_order_each_with_its_environment_and_the_token(rides: Rides) -> None:
    ride = rides()
    ride.seal(3)
    for _ in range(3):
        ride.one_try()

    assert [1, 2, 3] == ride.collector.seqs()
    assert {b'{"afterglow":"environment"'} == {batch.lines[0][:26] for batch in ride.collector.batches}
    assert {2} == {len(batch.lines) for batch in ride.collector.batches}
    assert all(b"Authorization: Bearer the-token\r\n" in batch.headers for batch in ride.collector.batches)
    assert not ride.shipper.pending()
    assert {} == ride.shipper.take_dropped()


def test_nothing_starts_between_invocations(rides: Rides) -> None:
    ride = rides()
    ride.seal()
    ride.shipper.step(may_start=False)

    assert {} == ride.shipper.poll_for()
    assert ride.shipper.pending()


def test_records_gather_for_a_while(rides: Rides) -> None:
    ride = rides()
    begun_ms = environment().started_at_ms
    ride.shipper.accept(call())
    ride.shipper.flush(begun_ms + OPEN_MS - 1, final=False)
    assert not ride.shipper.pending()

    ride.shipper.flush(begun_ms + OPEN_MS, final=False)
    assert ride.shipper.pending()


@pytest.mark.parametrize("status", [b"500 Oh", b"429 Later", b"503 Later", b"401 Who", b"403 No", b"302 There"])
def test_what_is_not_taken_comes_again_under_its_number(rides: Rides, status: bytes) -> None:
    ride = rides(status + b"\r\n")
    ride.seal()
    ride.one_try()
    problem = ride.shipper.problem
    ride.now_ns = LONGEST_PAUSE_NS
    ride.one_try()

    assert [1, 1] == ride.collector.seqs()
    assert f"HTTP {status[:3].decode()}" == problem
    assert "" == ride.shipper.problem
    assert {} == ride.shipper.take_dropped()


@pytest.mark.parametrize("status", [400, 404, 405, 409, 413, 415, 422])
def test_what_will_never_be_taken_is_dropped_and_counted_and_the_next_one_goes(rides: Rides, status: int) -> None:
    ride = rides(b"%d No\r\n" % status)
    ride.seal(2)
    ride.one_try()
    ride.one_try()

    assert [1, 2] == ride.collector.seqs()
    assert {f"refused-{status}": 1} == ride.shipper.take_dropped()


def test_tries_are_spaced_further_and_further(rides: Rides) -> None:
    ride = rides(*[b"500 Oh\r\n"] * 20)
    ride.seal()
    pauses_ns = []
    for _ in range(12):
        ride.one_try()
        pauses_ns.append(ride.shipper._not_before_ns - ride.now_ns)
        ride.now_ns = ride.shipper._not_before_ns

    assert 12 == len(ride.collector.batches)
    for tries, pause_ns in enumerate(pauses_ns):
        assert 0 <= pause_ns <= min(LONGEST_PAUSE_NS, FIRST_PAUSE_NS * 2**tries), f"after try {tries + 1}"


def test_a_collector_may_ask_for_more_time_and_gets_no_more_than_we_give(rides: Rides) -> None:
    ride = rides(b"503 Later\r\nRetry-After: 7\r\n", b"503 Later\r\nRetry-After: 99999\r\n")
    ride.seal()
    ride.one_try()
    assert ride.shipper._not_before_ns >= 7_000_000_000
    ride.shipper.step(may_start=True)
    assert 1 == len(ride.collector.batches), "it did not wait"

    ride.now_ns = ride.shipper._not_before_ns
    ride.one_try()
    assert ride.shipper._not_before_ns - ride.now_ns <= 2 * LONGEST_PAUSE_NS


def test_at_shutdown_there_is_no_more_waiting(rides: Rides) -> None:
    ride = rides(b"503 Later\r\nRetry-After: 30\r\n")
    ride.seal()
    ride.one_try()
    ride.shipper.hurry()
    ride.one_try()

    assert not ride.shipper.pending()


def test_who_does_not_answer_is_given_up_after_a_while(rides: Rides) -> None:
    ride = rides(None)
    ride.seal()
    ride.shipper.step(may_start=True)
    ride.now_ns = ANSWER_WITHIN_NS + 1
    ride.shipper.step(may_start=True)

    assert {} == ride.shipper.poll_for()
    assert "no answer within 5 s" == ride.shipper.problem
    assert ride.shipper.pending()


def body(size_bytes: int) -> bytes:
    return bytes(size_bytes)


def fill(spool: Spool, batches: int, size_bytes: int, first: int = 1) -> None:
    for seq in range(first, first + batches):
        spool.add(seq, 10, body(size_bytes))


def test_what_does_not_fit_into_memory_lies_in_tmp_and_is_gone_when_it_was_taken(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), "env")
    fill(spool, 4, MEMORY_BYTES // 2)
    files = sorted(path.name for path in tmp_path.iterdir())
    read = []
    while (first := spool.first()) is not None:
        read.append((first[0].seq, len(first[1])))
        spool.done(first[0].seq)

    assert ["afterglow-env-3", "afterglow-env-4"] == files
    assert [(seq, MEMORY_BYTES // 2) for seq in (1, 2, 3, 4)] == read
    assert [] == list(tmp_path.iterdir())
    assert {} == spool.dropped


def test_beyond_its_room_the_oldest_go_and_are_counted(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path), "env")
    size_bytes = 256 * KB
    batches = 2 * (MEMORY_BYTES + DISK_BYTES) // size_bytes
    fill(spool, batches, size_bytes)
    kept = [batch.seq for batch in spool.batches]

    assert kept == list(range(kept[0], batches + 1)), "the youngest, without a gap"
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= DISK_BYTES
    assert {"spool-full": 10 * (batches - len(kept))} == spool.dropped


def test_what_is_on_its_way_is_not_dropped_behind_its_back(tmp_path: Path) -> None:
    """It would be counted twice: as dropped here, as taken there."""
    spool = Spool(str(tmp_path), "env")
    spool.held = True
    fill(spool, 100, 256 * KB)
    spool.done(1)

    assert 100 == sum(spool.dropped.values()) // 10 + len(spool.batches) + 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for one batch and a half."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={384 * KB}", "none", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_tmp_costs_what_it_does_not_take_and_leaves_no_torn_file(small_disk: Path) -> None:
    spool = Spool(str(small_disk), "env")
    spool.add(1, 10, body(MEMORY_BYTES))
    fill(spool, 2, 256 * KB, first=2)

    assert {"spool: No space left on device": 10} == spool.dropped
    assert ["afterglow-env-2"] == os.listdir(small_disk)


def test_a_read_only_tmp_costs_what_memory_does_not_hold(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    spool = Spool(str(small_disk), "env")
    fill(spool, 3, MEMORY_BYTES // 2)

    assert {"spool: Read-only file system": 10} == spool.dropped
    assert [1, 2] == [batch.seq for batch in spool.batches]


def test_a_file_that_somebody_has_removed_is_counted_and_the_next_one_goes(tmp_path: Path) -> None:
    """/tmp is the function's as much as ours."""
    spool = Spool(str(tmp_path), "env")
    spool.add(1, 10, body(MEMORY_BYTES))
    fill(spool, 2, KB, first=2)
    spool.done(1)
    (tmp_path / "afterglow-env-2").unlink()
    first = spool.first()

    assert first is not None
    assert 3 == first[0].seq
    assert {"spool: No such file or directory": 10} == spool.dropped


def test_who_does_not_ask_for_https_does_not_pay_for_it() -> None:
    code = "import sys; from afterglow import shipping, peer; from afterglow.address import parse_address as p; "
    code += "peer.Peer(p('http://127.0.0.1:9')).way(0); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()

    assert {"ssl", "_ssl", "socket", "threading", "encodings.idna"} & set(loaded) == set()
