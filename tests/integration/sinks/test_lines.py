"""Standard output, files and the CloudWatch agent: real descriptors, real disks that are full, real sockets."""

import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.sinks.stage import LineListener, closed_port, datagrams
from tests.unit.sinks.samples import NOW_MS, emf_lines, items

from afterglow_collector.sinks.cloudwatch_agent import MAX_DATAGRAM_BYTES, CloudWatchAgent
from afterglow_collector.sinks.contract import SinkBatch, SinkRetry
from afterglow_collector.sinks.file import RotatingFile
from afterglow_collector.sinks.stdout import Stdout


def batch(*payloads: str) -> SinkBatch:
    return SinkBatch(items(*payloads), NOW_MS)


def test_each_entry_is_a_line_on_standard_output() -> None:
    reading, writing = os.pipe()
    Stdout(writing).send(batch("a", "ä"))
    os.close(writing)
    with open(reading, encoding="utf-8") as lines:
        assert ["a\n", "ä\n"] == list(lines)


def test_a_full_disk_behind_standard_output_is_a_reason_to_wait() -> None:
    with open("/dev/full", "w") as full, pytest.raises(SinkRetry, match="ENOSPC"):
        Stdout(full.fileno()).send(batch("a"))


def test_a_reader_that_has_left_is_a_reason_to_wait() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(SinkRetry, match="EPIPE") as retry:
        Stdout(writing).send(batch("a", "b"))
    os.close(writing)

    assert retry.value.remaining is not None
    assert 2 == len(retry.value.remaining)


def test_a_file_takes_lines_and_is_on_disk_afterwards(tmp_path: Path) -> None:
    sink = RotatingFile(tmp_path / "new" / "out.ndjson")
    sink.send(batch("a", "b"))
    sink.send(batch("c"))
    sink.close()

    assert "a\nb\nc\n" == (tmp_path / "new" / "out.ndjson").read_text()


def test_a_file_is_rotated_before_it_outgrows_its_size(tmp_path: Path) -> None:
    path = tmp_path / "out"
    sink = RotatingFile(path, max_bytes=10, keep=2)
    for number in range(6):
        sink.send(batch(f"{number}aaa"))
    sink.close()

    assert ["4aaa\n5aaa\n", "2aaa\n3aaa\n", "0aaa\n1aaa\n"] == [
        (tmp_path / name).read_text() for name in ("out", "out.1", "out.2")
    ]


def test_only_so_many_old_files_are_kept(tmp_path: Path) -> None:
    sink = RotatingFile(tmp_path / "out", max_bytes=1, keep=1)
    for text in "abc":
        sink.send(batch(text))
    sink.close()

    assert {"out": "c\n", "out.1": "b\n"} == {path.name: path.read_text() for path in tmp_path.iterdir()}


def test_a_file_that_others_have_moved_away_is_made_anew(tmp_path: Path) -> None:
    sink = RotatingFile(tmp_path / "out")
    sink.send(batch("a"))
    (tmp_path / "out").rename(tmp_path / "moved")
    sink.send(batch("b"))
    sink.close()

    assert ("a\n", "b\n") == ((tmp_path / "moved").read_text(), (tmp_path / "out").read_text())


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from afterglow_collector.sinks.contract import SinkRetry
from afterglow_collector.sinks.file import RotatingFile
from tests.integration.sinks.test_lines import batch
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sink = RotatingFile(Path(sys.argv[1]))
sink.send(batch("before"))
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
try:
    sink.send(batch("does not fit", "nor this"))
except SinkRetry as retry:
    print(retry.reason, Path(sys.argv[1]).read_text(), end="")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sink.send(batch("does not fit", "nor this"))
print(Path(sys.argv[1]).read_text(), end="")
"""


def test_a_disk_that_is_full_for_a_while_costs_no_line_and_repeats_none(tmp_path: Path) -> None:
    if resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY:
        pytest.skip("this machine limits the size of files already")
    roots = [root for root in sys.path if root]
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(roots)},
    )

    assert "EFBIG before\nbefore\ndoes not fit\nnor this\n" == done.stdout, done.stderr


@pytest.fixture
def listener() -> Iterator[LineListener]:
    made = LineListener()
    yield made
    made.stop()


@pytest.fixture
def udp() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        yield made


def test_the_agent_gets_a_line_per_document_with_its_log_group(listener: LineListener) -> None:
    sink = CloudWatchAgent("tcp", "127.0.0.1", listener.port, "afterglow")
    sink.send(batch(*emf_lines(1.0), *emf_lines(2.0, function="other")))
    came = [json.loads(line) for line in listener.wait_for(2)]
    sink.close()

    assert ["checkout", "other"] == [document["FunctionName"] for document in came]
    assert {"afterglow"} == {document["_aws"]["LogGroupName"] for document in came}


def test_an_agent_that_restarts_gets_what_comes_after(listener: LineListener) -> None:
    sink = CloudWatchAgent("tcp", "127.0.0.1", listener.port, "g")
    sink.send(batch(*emf_lines(1.0)))
    listener.wait_for(1)
    listener.stop()
    with pytest.raises(SinkRetry, match="ECONNREFUSED") as retry:
        sink.send(batch(*emf_lines(2.0)))
    again = LineListener(listener.port)
    sink.send(batch(*emf_lines(2.0)))
    came = again.wait_for(1)
    sink.close()
    again.stop()

    assert retry.value.remaining is not None
    assert 1 == len(retry.value.remaining) == len(came)


def test_a_datagram_per_document_over_udp(udp: socket.socket) -> None:
    sink = CloudWatchAgent("udp", *udp.getsockname(), "g")
    refused = sink.send(
        batch(*emf_lines(1.0), *emf_lines(2.0), "{}", "garbage", '{"_aws": {}, "x": "%s"}' % ("y" * 66_000))
    )
    came = datagrams(udp, 2)
    sink.close()

    assert {"not-emf": 2, "too-large-for-udp": 1} == refused
    assert ["checkout", "checkout"] == [json.loads(data)["FunctionName"] for data in came]
    assert all(len(data) <= MAX_DATAGRAM_BYTES for data in came)


def test_a_refused_datagram_is_heard_and_sent_again() -> None:
    port = closed_port()
    sink = CloudWatchAgent("udp", "127.0.0.1", port, "g")
    with pytest.raises(SinkRetry, match="ECONNREFUSED"):
        sink.send(batch(*emf_lines(1.0)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", port))
        sink.send(batch(*emf_lines(1.0)))
        assert 1 == len(datagrams(listening, 1))
    sink.close()
