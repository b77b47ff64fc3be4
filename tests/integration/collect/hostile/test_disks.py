"""What a disk can do: lose the end, a page in the middle, a whole folder; and what lies on it that somebody sent."""

import gzip
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

import pytest
from tests.integration.collect.conftest import Start
from tests.integration.collect.hostile.test_senders import OTLP, lines, passed_on
from tests.integration.collect.running import LIMIT_S, Collector
from tests.unit.collect.samples import body, call, environment, finding, now_ms

from afterglow.records import encode
from afterglow_collector.collect import frames
from afterglow_collector.collect.checkpoint import write_checkpoint
from afterglow_collector.collect.entries import BATCH, CLOSE
from afterglow_collector.collect.frames import Frame, scan
from afterglow_collector.collect.segments import list_segments, new_segment

MINUTE_MS = 60_000


def rewrite(path: Path, change: Callable[[bytearray], object]) -> None:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)


def last_of(server: Collector, folder: str) -> Path:
    return list_segments(server.data / folder)[-1].path


def found_in(server: Collector, folder: str) -> list[Frame]:
    segment = list_segments(server.data / folder)[-1]
    return [one for one in scan(segment.path.read_bytes(), segment.salt) if isinstance(one, Frame)]


def fed(server: Collector, batches: int = 5) -> Collector:
    """Send one-record batches, each of them acknowledged."""
    client = server.client()
    for seq in range(1, batches + 1):
        assert 202 == client.send(seq, call(now_ms(), request_id=f"r-{seq}")).status
    return server


def lines_at_sink(server: Collector) -> int:
    out = server.data.with_suffix(".out")
    return len(out.read_text().splitlines()) if out.exists() else 0


def until(condition: Callable[[], bool], what: str) -> None:
    ends_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < ends_s, what
        time.sleep(0.01)


def test_a_body_of_64_mb_unpacked_is_read_back_after_a_crash(collector: Start) -> None:
    """With what counts of it, more than 64 MB: refused, or kept; never acknowledged and lost."""
    limits = ("--max-unpacked-kb", "65536", "--max-body-kb", "16384", "--max-ratio", "10000", "--max-line-kb", "1024")
    server = collector("--sink", OTLP, "--drain-s", "0", "--max-queue-mb", "256", *limits)
    line = encode(call(now_ms()))
    rows = ((64 << 20) - 1_000) // (len(line) + 60_001)
    text = lines(*[line + " " * 60_000] * rows)
    answer = server.client().post(1, gzip.compress(text, 1), Content_Encoding="gzip")
    assert (202, rows) == (answer.status, answer.json.get("accepted")), answer
    server.kill()
    server.start()

    assert rows == server.metrics()["records_total"]
    assert 0 == server.stop(), server.said()
    assert "ERROR" not in server.said(), server.said()
    assert rows == len(passed_on(server)) - 1


def test_a_minute_of_arrays_is_published_whole(collector: Start) -> None:
    """Arrays of all values: more than any one group may hold, and all of it reaches the sink."""
    server = collector("--emf-values", "arrays", "--metrics", "all")
    at_ms = now_ms()
    calls = [
        call(at_ms, 1 + n * 0.017, wait_ms=n * 0.013, cpu_user_ms=n / 7, cpu_system_ms=n / 11) for n in range(2_000)
    ]
    rows = "\n".join(map(encode, calls)).encode()
    for number in range(40):
        first = encode(environment(f"env-{number}", function=f"function-{number}")).encode()
        text = gzip.compress(first + b"\n" + rows, 1)
        assert 202 == server.client().post(1, text, Content_Encoding="gzip").status
    assert 0 == server.stop(), server.said()
    sizes = [len(frame.payload) for frame in found_in(server, "outbox")]

    assert 40 * 2_000 == server.totals()
    assert max(sizes) < 6 << 20
    assert 40 * 2_000 == counted(server)


@pytest.fixture
def unremovable() -> Iterator[Callable[[Path], None]]:
    """Make a file that cannot be removed, as on a disk that has turned read-only."""
    held: list[Path] = []

    def hold(path: Path) -> None:
        if subprocess.run(["chattr", "+i", path], capture_output=True, check=False).returncode:
            pytest.skip("no file can be made immutable here")
        held.append(path)

    yield hold
    for path in held:
        subprocess.run(["chattr", "-i", path], check=False)


@pytest.mark.parametrize("folder", ["outbox", "journal", "checkpoints"])
def test_a_file_that_cannot_be_removed_ends_nothing(
    collector: Start, unremovable: Callable[[Path], None], folder: str
) -> None:
    """A stop saves a checkpoint, a start begins a segment of the journal; a cursor that is ahead, one of the outbox."""
    server = fed(collector())
    for seq in (6, 7):
        assert 0 == server.stop(), server.said()
        (cursor,) = (server.data / "cursors").glob("*.cursor")
        cursor.write_text(json.dumps({"v": 1, "seq": 100 * seq}))
        if seq == 6:
            unremovable(list_segments(server.data / folder)[0].path)
        server.start()
        assert 202 == server.client().send(seq, call(now_ms())).status
    assert 0 == server.stop(), server.said()
    server.start()
    until(lambda: f"{folder}: [Errno 1] Operation not permitted" in server.said(), "nothing was to be removed")

    assert 200 == server.client().ask("GET", "/readyz").status
    assert 202 == server.client().send(8, call(now_ms())).status
    assert 0 == server.stop(), server.said()
    assert "Traceback" not in server.said(), server.said()
    assert 8 == counted(server)


def test_a_state_that_cannot_be_saved_holds_nothing_up(
    collector: Start, unremovable: Callable[[Path], None], tmp_path: Path
) -> None:
    server = collector("--checkpoint-mb", "1")
    unremovable(server.data / "checkpoints")
    client, seq = server.client(), 0
    while "the state cannot be saved" not in server.said():
        seq += 1
        assert 202 == client.send(seq, *(finding(now_ms(), line=n) for n in range(200))).status
    assert 202 == client.send(seq + 1, call(now_ms() - 600_000)).status
    assert 0 == server.stop(), server.said()

    assert "Traceback" not in server.said()
    assert 1 == counted(server)


@pytest.mark.parametrize("place", ["payload", "length", "magic", "number"])
def test_damage_at_the_very_end_of_the_journal_is_put_aside_and_not_called_unacknowledged(
    collector: Start, place: str
) -> None:
    server = fed(collector())
    server.kill()
    *_, last = found_in(server, "journal")
    at = last.start + {"magic": 0, "length": 8, "number": 16, "payload": 60}[place]
    rewrite(last_of(server, "journal"), lambda data: data.__setitem__(at, data[at] ^ 0x40))
    hurt = last_of(server, "journal").read_bytes()[last.start : last.end].rstrip(b"\0")
    server.start()
    (aside,) = (server.data / "journal" / "quarantine").iterdir()

    assert hurt == aside.read_bytes()
    assert "never acknowledged" not in server.said()
    assert "may have been acknowledged" in server.said()
    assert 4 == server.metrics()["records_total"]
    fed(server, 6)
    assert 6 == server.metrics()["records_total"], "batch 5 is taken when it comes again"


def test_a_lost_entry_before_an_empty_segment_is_told(collector: Start) -> None:
    """A failed write leaves a segment behind; the next one's name says that all before it was durable."""
    server = fed(collector())
    server.kill()
    *_, last = found_in(server, "journal")
    rewrite(last_of(server, "journal"), lambda data: data.__setitem__(last.start + 40, data[last.start + 40] ^ 1))
    new_segment(server.data / "journal", last.number + 1).path.touch()
    server.start()

    assert f"entries {last.number} to {last.number} are missing" in server.said()
    assert "are damaged (CRC); copied to quarantine/" in server.said()
    assert "acknowledged" not in server.said()
    fed(server, 6)
    server.kill()
    server.start()
    assert 6 == server.metrics()["records_total"]


def test_a_segment_of_garbage_is_put_aside(collector: Start) -> None:
    server = fed(collector())
    server.kill()
    path = last_of(server, "journal")
    path.write_bytes(os.urandom(5_000))
    server.start()
    (aside,) = (server.data / "journal" / "quarantine").iterdir()

    assert 5_000 == aside.stat().st_size
    assert "never acknowledged" not in server.said()
    assert 202 == server.client().send(1, call(now_ms())).status


def forged(kind: int, number: int, payload: bytes) -> bytes:
    """Both the frames of this version, without the salt that nobody knows, and those of the first one."""
    checked = struct.Struct("<IIQ").pack(len(payload), kind, number)
    old = struct.Struct("<4sIIIQ").pack(b"AGf1", crc32(payload, crc32(checked)), len(payload), kind, number)
    return frames.encode(kind, number, payload) + old + payload


def test_frames_within_a_body_are_not_believed_after_a_torn_write(collector: Start) -> None:
    """A body that holds a whole Close of a far future, and 100,000 headers; the machine dies in the midst of it."""
    server = collector("--sink", OTLP, "--drain-s", "0")
    fed(server, 3)
    close = forged(CLOSE, 10**15, struct.Struct("<QQQ").pack(now_ms(), 10**9, 0))
    close += forged(CLOSE, 10**15, struct.Struct("<QQ").pack(now_ms(), 10**9))
    headers = b"".join(forged(BATCH, number, b"")[:28] for number in range(20_000))
    name = (close + headers).replace(b"\n", b" ").decode("latin-1")[:1_000]
    records = [call(now_ms(), error_message=name[at % 900 :]) for at in range(50)]
    assert 202 == server.client().send(4, *records).status
    plain = body(call(now_ms())) + b"\n" + close + headers
    assert 202 == server.client().post(5, plain).status
    server.kill()
    path = last_of(server, "journal")
    *_, before, last = found_in(server, "journal")
    text = bytearray(path.read_bytes())
    for number, frame in ((1, before), (2, last)):  # as it lay in a body before this version, and torn
        text[frame.start + 40] ^= number
    text[last.start + 300 : last.start + 300 + len(close + headers)] = close + headers
    path.write_bytes(text[: last.start + 200 + len(close + headers)])
    began_s = time.monotonic()
    server.start()

    assert time.monotonic() - began_s < 15
    assert 3 == server.metrics()["records_total"]
    assert "1000000000000000" not in server.said()
    fed(server, 6)
    assert 0 == server.stop(), server.said()
    assert 6 == server.totals()


def counted(server: Collector) -> float:
    return sum(
        json.loads(line).get("Invocations", 0) for line in server.data.with_suffix(".out").read_text().splitlines()
    )


def outbox_of_forty(collector: Start) -> Collector:
    """Forty entries for a sink that hears nothing of them, and the journal of all."""
    server = collector("--sink", OTLP, "--drain-s", "0")
    fed(server, 40)
    server.kill()
    return server


@pytest.mark.parametrize("length", [1, 300, 4096, 12_000])
def test_what_the_outbox_has_lost_in_the_middle_is_made_again_where_it_was(collector: Start, length: int) -> None:
    server = outbox_of_forty(collector)
    path = last_of(server, "outbox")
    middle = path.stat().st_size // 2
    rewrite(path, lambda data: data.__setitem__(slice(middle, middle + length), bytes(length)))
    server.start()
    assert "were made again from the journal" in server.said()
    assert 0 == server.stop()

    assert [f"r-{n}" for n in range(1, 41)] == [
        json.loads(one)["request_id"] for one in passed_on(server) if "r-" in one
    ]
    assert "are lost" not in server.said()


@pytest.mark.parametrize("lost", ["between", "end"])
def test_what_is_older_than_the_last_checkpoint_is_made_again_from_the_one_before(collector: Start, lost: str) -> None:
    server = collector("--sink", OTLP, "--drain-s", "0")
    client = server.client()
    for seq in range(1, 41):
        assert 202 == client.send(seq, call(now_ms(), request_id=f"r-{seq}")).status
        if seq in {20, 40}:
            assert 0 == server.stop()
            server.start()
            client = server.client()
    server.kill()
    path = last_of(server, "outbox")
    if lost == "end":
        os.truncate(path, path.stat().st_size * 4 // 5)
    else:
        third = path.stat().st_size * 3 // 4
        rewrite(path, lambda data: data.__setitem__(slice(third, third + 1_500), bytes(1_500)))
    server.start()
    assert 0 == server.stop()

    assert [f"r-{n}" for n in range(1, 41)] == [
        json.loads(one)["request_id"] for one in passed_on(server) if "r-" in one
    ]
    assert "are lost" not in server.said()


@pytest.mark.parametrize("lost", ["the end", "all", "the folder"])
def test_what_the_outbox_has_lost_at_its_end_is_made_again_and_no_cursor_is_ahead(collector: Start, lost: str) -> None:
    server = outbox_of_forty(collector)
    path = last_of(server, "outbox")
    (server.data / "cursors" / "otlp_http___127.0.0.1_9.cursor").write_text('{"v":1,"seq":12}')
    if lost == "the folder":
        shutil.rmtree(server.data / "outbox")
    else:
        os.truncate(path, 3_000 if lost == "the end" else 0)
    server.start()
    figures = server.metrics()
    assert 0 == server.stop()

    assert 40 == figures["outbox_last_seq"]
    assert figures["sink_lag_entries"] >= 0
    assert [f"r-{n}" for n in range(1, 41)] == [
        json.loads(one)["request_id"] for one in passed_on(server) if "r-" in one
    ]


def test_numbers_go_on_behind_a_cursor_that_is_ahead_and_what_comes_then_is_sent(collector: Start) -> None:
    server = fed(collector())
    assert 0 == server.stop()
    (cursor,) = (server.data / "cursors").glob("*.cursor")
    cursor.write_text('{"v":1,"seq":100}')
    server.start()
    assert "has had entry 100: what lies between is lost" in server.said()
    assert 0 == server.metrics()["sink_lag_entries"]
    before = lines_at_sink(server)
    assert 202 == server.client().send(9, call(now_ms())).status
    assert 0 == server.stop()

    assert before + 1 == lines_at_sink(server)
    assert 101 == json.loads(cursor.read_text())["seq"]


def test_a_lost_outbox_begins_with_the_numbers_that_the_checkpoint_knows(collector: Start) -> None:
    """All is sent and saved, then the folder is lost: what comes next is behind every cursor."""
    server = fed(collector())
    assert 0 == server.stop()
    sent = lines_at_sink(server)
    shutil.rmtree(server.data / "outbox")
    server.start()
    assert 202 == server.client().send(9, call(now_ms())).status
    assert 0 == server.stop()

    assert sent + 1 == lines_at_sink(server)


@pytest.mark.parametrize(
    "text", [b"", b"\xff\xfe\0", b"{}", b'{"v":9,"seq":1}', b'{"v":1,"seq":-1}', b"[" * 100_000, b'{"v":1,"seq":1e400}']
)
def test_a_damaged_cursor_is_put_aside_and_told_and_the_other_sinks_go_on(
    collector: Start, tmp_path: Path, text: bytes
) -> None:
    other = tmp_path / "other"
    server = collector("--sink", f"file:{tmp_path}/one", "--sink", f"file:{other}")
    fed(server)
    assert 0 == server.stop()
    (cursor,) = [path for path in (server.data / "cursors").iterdir() if re.search(r"one-\w+\.cursor$", path.name)]
    cursor.write_bytes(text)
    server.start()
    assert "begins with the oldest entry that there is" in server.said()
    assert 202 == server.client().send(9, call(now_ms())).status
    assert 0 == server.stop()

    assert "Traceback" not in server.said()
    assert text == cursor.with_name(cursor.name + ".damaged").read_bytes()
    assert 2 == other.read_text().count('"Invocations":')
    assert 3 == (tmp_path / "one").read_text().count('"Invocations":'), "the first is sent again: at least once"


def test_a_whole_group_that_makes_no_sense_is_skipped_and_told(collector: Start) -> None:
    server = fed(collector())
    assert 0 == server.stop()
    segment = new_segment(server.data / "outbox", 50)
    payloads = [b"\xc1", b"\x80", b"\x93\x01\x01\x90", b"\x93\x01\x01\x91\x01", b""]
    segment.path.write_bytes(b"".join(frames.encode(1, 50 + n, one, segment.salt) for n, one in enumerate(payloads)))
    server.start()
    assert len(payloads) == server.said().count("they are no group; copied to quarantine/")
    assert 202 == server.client().send(9, call(now_ms())).status
    assert 0 == server.stop()

    assert "Traceback" not in server.said()
    assert 6 == server.totals()


def test_a_whole_journal_entry_that_makes_no_sense_is_put_aside_and_told(collector: Start) -> None:
    server = fed(collector())
    server.kill()
    last = found_in(server, "journal")[-1].number
    segment = new_segment(server.data / "journal", last + 1)
    bad = [
        (BATCH, b""),
        (BATCH, b"x" * 10),
        (BATCH, struct.Struct("<QQI4x").pack(1, 1, 1 << 30)),
        (BATCH, struct.Struct("<QQI4x").pack(1, 1, 3) + b"\xc1\xc1\xc1"),
        (BATCH, struct.Struct("<QQI4x").pack(1, 1, 7) + b"\x96\x00\xc0\x90\xc4\x00\x90"),
        (CLOSE, b"x"),
        (CLOSE, b"\xff" * 24),
        (77, b"what is this"),
    ]
    segment.path.write_bytes(
        b"".join(frames.encode(kind, last + 1 + n, text, segment.salt) for n, (kind, text) in enumerate(bad))
    )
    server.start()
    assert len(bad) == server.said().count("is whole, and cannot be understood"), server.said()
    fed(server, 6)
    assert 0 == server.stop()

    assert "Traceback" not in server.said()
    assert 6 == server.totals()


@pytest.mark.parametrize(
    "state", [{"v": 3}, {"v": 3, "ids": 1}, {"v": 3, "closed_before": -1}, {"v": 3, "windows": [], "ids": {"a": "b"}}]
)
def test_a_whole_checkpoint_that_makes_no_sense_is_told_and_the_one_before_used(
    collector: Start, state: dict[str, object]
) -> None:
    server = fed(collector())
    assert 0 == server.stop()
    write_checkpoint(server.data / "checkpoints", 10**6, state)
    server.start()
    assert "the checkpoint is not one of this version" in server.said()
    assert 5 == server.metrics()["records_total"]


def test_files_of_the_first_format_are_refused_and_left_alone(collector: Start, tmp_path: Path) -> None:
    folder = tmp_path / "old" / "journal"
    folder.mkdir(parents=True)
    old = folder / f"{1:020d}.log"
    old.write_bytes(b"AGf1" + bytes(100))
    with pytest.raises(AssertionError, match="is of an earlier version of Afterglow"):
        collector(data=tmp_path / "old")

    assert b"AGf1" + bytes(100) == old.read_bytes()


def test_kill_9_and_damage_and_a_stop_leave_every_count_as_it_was(collector: Start) -> None:
    """Rounds of crash and damage to what need not be on disk yet: the outbox. Nothing is lost, nothing comes twice."""
    server = collector("--checkpoint-mb", "1")
    client, sent = server.client(), 0
    for round_ in range(4):
        for _ in range(25):
            sent += 1
            assert 202 == client.send(sent, call(now_ms() - 120_000)).status
        server.kill()
        path = last_of(server, "outbox") if list_segments(server.data / "outbox") else None
        if path is not None and round_ % 2:
            os.truncate(path, path.stat().st_size // 2)
        server.start()
        client = server.client()
    assert 0 == server.stop(signal.SIGTERM)

    assert sent == server.totals()
