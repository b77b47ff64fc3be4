"""The journal: what it says is durable comes back after any end; what is damaged is told."""

import errno
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING

import pytest

from afterglow_collector.collect.frames import encode
from afterglow_collector.collect.journal import Journal, write_all
from afterglow_collector.collect.replay import Report, replay
from afterglow_collector.collect.segments import list_segments, segment_path

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_S = 20


class Writing:
    """A journal whose calls back run here, as they would on the event loop."""

    def __init__(self, folder: Path, last_lsn: int = 0, segment_bytes: int = 1 << 20) -> None:
        self.posts: Queue[Callable[[], None]] = Queue()
        self.told: list[tuple[int, OSError | None]] = []
        self.journal = Journal(folder, last_lsn, self.posts.put, segment_bytes)
        self.journal.start()

    def append(self, *payloads: bytes) -> list[tuple[int, OSError | None]]:
        """Append, wait until all is told, return what was told of these."""
        before = len(self.told)
        for payload in payloads:
            self.journal.append(1, (payload[:3], payload[3:]), lambda lsn, error: self.told.append((lsn, error)))
        while len(self.told) < before + len(payloads):
            self.posts.get(timeout=LIMIT_S)()
        return self.told[before:]


def read(folder: Path, after_lsn: int = 0) -> tuple[list[tuple[int, bytes]], Report]:
    report = Report([], [])
    return [(frame.number, frame.payload) for frame in replay(folder, after_lsn, report)], report


def segments(folder: Path) -> list[int]:
    return [segment.first for segment in list_segments(folder)]


def test_entries_are_numbered_in_their_order_and_come_back(tmp_path: Path) -> None:
    writing = Writing(tmp_path)

    assert [(1, None), (2, None), (3, None)] == writing.append(b"one", b"two", b"three")
    writing.journal.stop()
    assert ([(1, b"one"), (2, b"two"), (3, b"three")], Report([], [])) == read(tmp_path)


def test_nothing_is_told_before_it_can_be_read(tmp_path: Path) -> None:
    writing = Writing(tmp_path)
    for number in range(20):
        payload = b"%d" % number
        writing.append(payload)
        assert payload == read(tmp_path)[0][-1][1]
    writing.journal.stop()


def test_room_is_reserved_and_given_back(tmp_path: Path) -> None:
    writing = Writing(tmp_path, segment_bytes=100_000)
    writing.append(b"entry")
    (segment,) = list_segments(tmp_path)
    assert segment.path.stat().st_size == 100_000
    assert ([(1, b"entry")], Report([], [])) == read(tmp_path)

    writing.journal.stop()
    assert segment.path.stat().st_size < 100


def test_many_entries_share_a_sync(tmp_path: Path) -> None:
    writing = Writing(tmp_path)
    writing.append(*[b"entry"] * 3_000)
    writing.journal.stop()

    assert len(read(tmp_path)[0]) == 3_000
    assert writing.journal.groups < 1_500
    assert (0, 0) == (writing.journal.waiting_bytes, writing.journal.waiting_entries)


def test_segments_are_cut_and_go_when_a_checkpoint_has_them(tmp_path: Path) -> None:
    writing = Writing(tmp_path, segment_bytes=1)
    for _ in range(5):
        writing.append(b"entry")
    assert [1, 2, 3, 4, 5] == segments(tmp_path)

    writing.journal.remove_before(4)
    writing.journal.stop()
    assert [4, 5] == segments(tmp_path)
    assert [4, 5] == [number for number, _ in read(tmp_path, after_lsn=3)[0]]


def test_only_what_a_checkpoint_has_not_is_replayed(tmp_path: Path) -> None:
    writing = Writing(tmp_path, segment_bytes=100)
    writing.append(*[b"entry"] * 10)
    writing.journal.stop()

    assert [8, 9, 10] == [number for number, _ in read(tmp_path, after_lsn=7)[0]]


def test_a_new_start_goes_on_with_the_next_number(tmp_path: Path) -> None:
    first = Writing(tmp_path)
    first.append(b"a", b"b")
    first.journal.stop()
    second = Writing(tmp_path, last_lsn=2)

    assert [(3, None)] == second.append(b"c")
    second.journal.stop()
    assert [b"a", b"b", b"c"] == [payload for _, payload in read(tmp_path)[0]]


@pytest.mark.parametrize("kept", [1, 10, 24, 30])
def test_a_torn_end_is_cut_off_and_told_once(tmp_path: Path, kept: int) -> None:
    whole = encode(1, 1, b"whole")
    path = segment_path(tmp_path, 1)
    path.write_bytes(whole + encode(1, 2, b"torn in its midst")[:kept])
    found, report = read(tmp_path)

    assert [(1, b"whole")] == found
    assert "never acknowledged" in report.mended[0]
    assert (whole, Report([], [])) == (path.read_bytes(), read(tmp_path)[1])


def test_damage_within_is_put_aside_and_named_and_the_rest_is_used(tmp_path: Path) -> None:
    frames = [encode(1, number, b"entry %d" % number) for number in range(1, 6)]
    hurt = bytearray(frames[2])
    hurt[-1] ^= 1
    segment_path(tmp_path, 1).write_bytes(b"".join([*frames[:2], bytes(hurt), *frames[3:]]))
    found, report = read(tmp_path)

    assert [1, 2, 4, 5] == [number for number, _ in found]
    assert [f"{len(hurt)} bytes at {2 * len(hurt)} are damaged", "entries 3 to 3 are missing"] == [
        words.partition(": ")[2].partition(" (")[0] for words in report.damaged
    ]
    (aside,) = (tmp_path / "quarantine").iterdir()
    assert bytes(hurt) == aside.read_bytes()


def test_a_segment_that_is_gone_is_named(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        segment_path(tmp_path, number).write_bytes(encode(1, number, b"x"))
    segment_path(tmp_path, 2).unlink()
    found, report = read(tmp_path)

    assert [1, 3] == [number for number, _ in found]
    assert ["journal: entries 2 to 2 are missing"] == report.damaged


def test_the_youngest_segment_is_believed(tmp_path: Path) -> None:
    """A group that failed may be on the disk all the same; its numbers were given again, in a new segment."""
    old = [encode(1, number, b"old %d" % number) for number in range(1, 5)]
    segment_path(tmp_path, 1).write_bytes(b"".join(old) + b"half a frame")
    segment_path(tmp_path, 3).write_bytes(encode(1, 3, b"new 3"))
    found, report = read(tmp_path)

    assert [(1, b"old 1"), (2, b"old 2"), (3, b"new 3")] == found
    assert Report([], []) == report


FULL_DISK = """
    import json, resource, signal, sys
    from pathlib import Path
    from tests.unit.collect.test_journal import Writing, read
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    folder = Path(sys.argv[1])
    writing = Writing(folder)
    told = writing.append(b"a" * 100, b"b" * 100)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, resource.RLIM_INFINITY))
    told += writing.append(b"c" * 1000)
    told += writing.append(b"d" * 1000)
    failure = writing.journal.failure
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    told += writing.append(b"e" * 1000, b"f" * 1000)
    assert writing.journal.failure is None
    writing.journal.stop()
    found, report = read(folder)
    payloads = [payload.decode()[0] for _, payload in found]
    print(json.dumps([[[lsn, error and error.errno] for lsn, error in told], failure, payloads, *report]))
"""


def test_what_the_disk_refuses_is_told_and_what_comes_later_is_taken(tmp_path: Path) -> None:
    """A real limit on file size stands for the full disk, in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)

    assert done.returncode == 0, done.stderr
    told = [[1, None], [2, None], [0, errno.EFBIG], [0, errno.EFBIG], [3, None], [4, None]]
    assert [told, os.strerror(errno.EFBIG), ["a", "b", "e", "f"], [], []] == json.loads(done.stdout)


def test_more_buffers_than_one_call_takes_are_written_in_several(tmp_path: Path) -> None:
    buffers = [b"%d," % number for number in range(5_000)]
    path = tmp_path / "file"
    with path.open("wb") as file:
        assert sum(map(len, buffers)) == write_all(file.fileno(), buffers)

    assert b"".join(buffers) == path.read_bytes()
