"""The outbox: whole groups, one number for ever, read by cursor."""

import os
from pathlib import Path

import pytest

from afterglow_collector.collect.frames import MAX_PAYLOAD_BYTES, TooLargeError
from afterglow_collector.collect.outbox import READ_BYTES, Entry, Mark, Outbox


def emf(text: str) -> Entry:
    return Entry(0, "emf", 1, text)


def filled(folder: Path, groups: int, segment_bytes: int = 1 << 20) -> Outbox:
    outbox = Outbox(folder, segment_bytes)
    for number in range(1, groups + 1):
        outbox.append([emf(f"{number}a"), emf(f"{number}b")], Mark(number, 1))
    return outbox


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.log"))


def test_entries_are_numbered_from_one_without_gaps(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)

    assert outbox.append([emf("a"), emf("b")]) == 2
    assert outbox.append([Entry(0, "finding", 7, "c")]) == 3
    assert [Entry(2, "emf", 1, "b"), Entry(3, "finding", 7, "c")] == outbox.read(1, 10)


def test_nothing_is_no_group(tmp_path: Path) -> None:
    assert Outbox(tmp_path).append([]) == 0


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_a_cursor_meets_every_entry_once(tmp_path: Path, limit: int) -> None:
    outbox = filled(tmp_path, 5, segment_bytes=100)
    met: list[int] = []
    while some := outbox.read(met[-1] if met else 0, limit):
        assert len(some) <= limit
        met += [entry.seq for entry in some]

    assert list(range(1, 11)) == met


def test_numbers_and_marks_go_on_after_a_restart(tmp_path: Path) -> None:
    filled(tmp_path, 3).close()
    outbox = Outbox(tmp_path)

    assert (6, Mark(3, 1)) == (outbox.last_seq, outbox.last_mark)
    assert outbox.append([emf("x")], Mark(4, 1)) == 7
    assert ["3b", "x"] == [entry.payload for entry in outbox.read(5, 10)]


def test_a_torn_group_is_gone_as_a_whole_and_told(tmp_path: Path) -> None:
    filled(tmp_path, 3).close()
    os.truncate(files(tmp_path)[-1], files(tmp_path)[-1].stat().st_size - 1)
    outbox = Outbox(tmp_path)

    assert (4, Mark(2, 1)) == (outbox.last_seq, outbox.last_mark)
    assert "were never whole; copied to quarantine/" in outbox.damage[0]
    assert outbox.append([emf("again")], Mark(3, 1)) == 5
    outbox.close()
    assert Outbox(tmp_path).damage == []


def test_numbers_are_not_used_again_when_all_of_the_last_segment_is_torn(tmp_path: Path) -> None:
    outbox = filled(tmp_path, 3, segment_bytes=1)
    outbox.close()
    os.truncate(files(tmp_path)[-1], 3)

    assert Outbox(tmp_path).last_seq == 4


def test_damage_within_is_skipped_and_told(tmp_path: Path) -> None:
    filled(tmp_path, 3).close()
    path = files(tmp_path)[0]
    text = bytearray(path.read_bytes())
    text[len(text) // 2] ^= 0xFF
    path.write_bytes(text)
    outbox = Outbox(tmp_path)

    assert [1, 2, 5, 6] == [entry.seq for entry in outbox.read(0, 10)]
    assert "damaged bytes" in outbox.damage[0]


def test_trimming_removes_whole_segments_that_nobody_needs(tmp_path: Path) -> None:
    outbox = filled(tmp_path, 4, segment_bytes=1)
    outbox.trim(before_seq=4)

    assert [3, 4, 5, 6, 7, 8] == [entry.seq for entry in outbox.read(0, 10)]
    assert len(files(tmp_path)) == 3


def test_the_last_segment_stays_so_that_numbers_go_on(tmp_path: Path) -> None:
    outbox = filled(tmp_path, 4, segment_bytes=1)
    outbox.trim(before_seq=1_000)
    outbox.close()

    assert Outbox(tmp_path).last_seq == 8


def test_large_entries_are_read_a_few_at_a_time(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for number in range(1, 6):
        outbox.append([emf("x" * (READ_BYTES // 2)), emf("small")], Mark(number, 1))
    met: list[int] = []
    while some := outbox.read(met[-1] if met else 0, 200):
        assert sum(len(entry.payload) for entry in some) <= READ_BYTES + 100
        met += [entry.seq for entry in some]

    assert list(range(1, 11)) == met


def test_what_no_reader_would_take_is_not_written(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    with pytest.raises(TooLargeError):
        outbox.append([emf("x" * MAX_PAYLOAD_BYTES)], Mark(1, 1))

    assert 1 == outbox.append([emf("small")], Mark(1, 1))
    assert ["small"] == [entry.payload for entry in outbox.read(0, 10)]


def test_a_gap_is_told_and_filled_in_its_place(tmp_path: Path) -> None:
    filled(tmp_path, 3).close()
    path = files(tmp_path)[0]
    text = bytearray(path.read_bytes())
    text[len(text) // 2] ^= 0xFF
    path.write_bytes(text)
    outbox = Outbox(tmp_path)
    assert ([(3, 4)], True, False) == (outbox.missing(0), outbox.free(3, 4), outbox.free(4, 5))
    outbox.append([emf("2a"), emf("2b")], Mark(2, 1), at=3)
    outbox.close()
    again = Outbox(tmp_path)

    assert ["1a", "1b", "2a", "2b", "3a", "3b"] == [entry.payload for entry in again.read(0, 10)]
    assert ([], 6, Mark(3, 1)) == (again.missing(0), again.last_seq, again.last_mark)


def test_text_comes_back_as_it_was(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.append([emf('{"Ümläut": "\\u2028 \U0001f525"}')])

    assert '{"Ümläut": "\\u2028 \U0001f525"}' == outbox.read(0, 1)[0].payload
