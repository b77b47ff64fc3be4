"""Every reader of what a stranger, or a disk, may have written: any bytes do no worse than be refused.

Seeds that found something, or look as if they might, stand as examples.
"""

import gzip
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.unit.collect.samples import AT_MS, body, call, environment, finding, overhead

from afterglow.records import Environment, Record, decode, encode, encode_row
from afterglow_collector.collect import frames, wire
from afterglow_collector.collect.bodies import ENCODINGS, BodyError, unpack
from afterglow_collector.collect.checkpoint import read_checkpoint, write_checkpoint
from afterglow_collector.collect.entries import EntryError, decode_batch, decode_close
from afterglow_collector.collect.forms import as_record
from afterglow_collector.collect.incoming import MAX_HEAD_BYTES, Incoming, Request
from afterglow_collector.collect.outbox import Entry, Mark, Outbox
from afterglow_collector.collect.replay import Report, replay
from afterglow_collector.collect.segments import list_segments, new_segment
from afterglow_collector.collect.tokens import ANYBODY, Sender, TokenError, Tokens
from afterglow_collector.collect.wire import BatchError, Limits
from afterglow_collector.collect.wire import decode_batch as read_batch
from afterglow_collector.sinks.cursor import MAX_SEQ, CursorError, read_cursor, write_cursor

if TYPE_CHECKING:
    from afterglow_collector.collect.answers import Answer

HEAD = b"POST /v1/records HTTP/1.1\r\nhost: x\r\n"
PIECES = [
    HEAD,
    b"GET / HTTP/1.1\r\n",
    b"GET /healthz HTTP/1.0\r\n",
    b"content-length: 3\r\n",
    b"content-length: 99999999999999999999\r\n",
    b"transfer-encoding: chunked\r\n",
    b"transfer-encoding: gzip, chunked\r\n",
    b"connection: close\r\n",
    b"connection: upgrade\r\nupgrade: x\r\n",
    b"expect: 100-continue\r\n",
    b"afterglow-seq: 1\r\n",
    b"x: " + b"y" * 400 + b"\r\n",
    b"x: y\r\n" * 120,
    b"\r\n",
    b"3\r\nabc\r\n",
    b"3;x=y\r\nabc\r\n",
    b"0\r\n",
    b"0\r\n\r\n",
    b"abc",
    b"\n",
    b"\0",
    b"\xff",
]
requests = st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=20).map(b"".join)


class _Door:
    max_body_bytes = 1_000

    def admit(self, _method: bytes, _path: bytes, _headers: dict[bytes, bytes]) -> "Answer | Sender":
        return ANYBODY


def read(data: bytes, cuts: list[int]) -> tuple[list[Request], int | None]:
    """Feed it in pieces; return the requests, and the status of the answer to what is none."""
    incoming = Incoming(_Door(), lambda: 0.0, lambda _: None)
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    at = 0
    for end in ends:
        while at < end and not incoming.over:
            piece = data[at : min(end, at + incoming.appetite)]
            at += len(piece)
            refusal = incoming.feed(piece)
            kept = sum(len(name) + len(value) for name, value in incoming._headers.items()) + len(incoming._url)
            assert kept + len(incoming._body) <= 2 * MAX_HEAD_BYTES + _Door.max_body_bytes
            if refusal is not None:
                return list(incoming.arrived), refusal.status
    return list(incoming.arrived), None


@settings(max_examples=300)
@given(requests, st.lists(st.integers(0, 2_000), max_size=8))
@example(HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + b"h: x\r\n" * 200, [40])
@example(HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\nafterglow-seq: 9\r\n\r\n", list(range(90)))
@example(HEAD + b"content-length: 3\r\n\r\nabc" + HEAD + b"content-length: 3\r\n\r\nab", [60])
def test_requests_do_not_depend_on_how_their_bytes_come(data: bytes, cuts: list[int]) -> None:
    assert read(data, []) == read(data, cuts)


LINES = [
    encode(call(AT_MS)),
    encode_row(call(AT_MS)),
    encode(finding(AT_MS)),
    encode_row(overhead(AT_MS)),
    encode(environment()),
]
values = st.sampled_from(["null", "-1", "0", "1e308", "1e999", "9" * 5_000, "true", '"\\ud800"', "[]", "{}", '"x"', ""])


@st.composite
def bad_lines(draw: st.DrawFn) -> bytes:
    """Give a line with something in it replaced, cut out or put in."""
    line = draw(st.sampled_from(LINES))
    start = draw(st.integers(0, len(line)))
    length = draw(st.sampled_from([0, 1, 2, 5, 40, len(line)]))
    said = draw(values.map(str.encode) | st.binary(max_size=6))
    return line[:start].encode() + said + line[start + length :].encode()


@settings(max_examples=300)
@given(st.lists(bad_lines() | st.binary(max_size=30), max_size=6), st.booleans())
@example([encode(call(AT_MS)).replace('"sources":{}', '"sources":{"a":' + "9" * 5_000 + "}").encode()], True)
@example([encode(call(AT_MS)).replace('"sources":{}', '"sources":["\\ud800"]').encode()], True)
@example([b'["invocation",1' + b",null" * 29 + b"]"], True)
@example([b"\xa0\n\x0b\x0c\x85"], True)
@example([encode(environment()).encode() + b"\r"], False)
def test_each_line_is_taken_or_refused_and_what_is_passed_on_can_be_read(rest: list[bytes], passed_on: bool) -> None:
    text = b"\n".join([encode(environment()).encode(), *rest])
    try:
        batch = read_batch(text, Limits(65_536, 0, 1 << 50, passed_on))
    except BatchError:  # a second Environment: the first line is a good one
        return
    refused = 0 if batch.refused is None else len(batch.refused)
    again = sum(line.strip() not in {b"", *batch.text.split(b"\n")} for line in text.split(b"\n"))

    assert len(batch.records) <= text.count(b"\n")
    assert refused <= text.count(b"\n")
    if passed_on:
        read_back = [decode(line) for line in batch.text.decode().split("\n") if line.strip()]
        assert isinstance(read_back[0], Environment)
        assert len(batch.records) == sum(not isinstance(one, Environment) for one in read_back)
        assert again <= refused + text.count(b"environment")


@settings(max_examples=300)
@given(st.lists(bad_lines() | st.sampled_from(LINES[:4]).map(str.encode), min_size=1, max_size=4), st.booleans())
def test_what_is_read_in_one_go_is_what_line_by_line_would_be_taken(rest: list[bytes], passed_on: bool) -> None:
    first = encode(environment()).encode()
    text, limits = b"\n".join([first, *rest]), Limits(65_536, 0, 1 << 50, passed_on)
    at_once = wire._decode_at_once(environment(), text, len(first) + 1, limits)
    if at_once is None:  # and then it is read line by line
        return
    each = wire._decode_each(environment(), first, text, len(first) + 1, limits)

    assert [] == each.refusals
    assert [_unsourced(struct) for struct in each.records] == [_unsourced(struct) for struct in at_once.records]
    assert (each.first_ms, each.last_ms) == (at_once.first_ms, at_once.last_ms)
    assert each.text.split() == at_once.text.split()


def _unsourced(struct: Any) -> Record:
    record: Any = as_record(struct)
    plain: Record = record._replace(sources={}) if "sources" in record._fields else record
    return plain


@given(st.binary(max_size=100) | bad_lines().map(gzip.compress) | bad_lines().map(zstandard.compress), st.data())
def test_no_packing_does_worse_than_be_refused(packed: bytes, data: st.DataObject) -> None:
    hurt = bytearray(packed)
    if hurt:
        hurt[data.draw(st.integers(0, len(hurt) - 1))] ^= data.draw(st.integers(0, 255))
    for code in ENCODINGS.values():
        with suppress(BodyError):
            assert len(unpack(bytes(hurt), code, 5_000, 100)) <= max(5_000, len(hurt))


@given(st.binary(max_size=60))
@example(b"\xff" * 24)
def test_no_entry_does_worse_than_be_refused(payload: bytes) -> None:
    for decoder in (decode_batch, decode_close):
        with suppress(EntryError):
            decoder(payload)  # type: ignore[operator]  # either takes bytes


def damage(draw: st.DrawFn, data: bytes) -> bytes:
    """Do to a file what disks do: flip, blank, cut off, lose a piece."""
    text = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        start, length = draw(st.integers(0, len(text))), draw(st.sampled_from([1, 4, 30, 200]))
        how = draw(st.sampled_from(["flip", "blank", "cut", "lose", "put"]))
        if how == "flip" and start < len(text):
            text[start] ^= draw(st.integers(1, 255))
        elif how == "blank":
            text[start : start + length] = bytes(min(length, len(text) - start))
        elif how == "cut":
            del text[start:]
        elif how == "lose":
            del text[start : start + length]
        elif how == "put":
            text[start:start] = frames.encode(1, draw(st.integers(0, 1 << 60)), b"forged")
    return bytes(text)


@st.composite
def damaged(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    return lambda data: damage(draw, data)


@settings(max_examples=150)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=8), damaged())
def test_a_damaged_journal_gives_back_only_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes], hurt: Callable[[bytes], bytes]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    segment = new_segment(folder, 1)
    written = [frames.encode(1, number, payload, segment.salt) for number, payload in enumerate(payloads, 1)]
    segment.path.write_bytes(hurt(b"".join(written)))
    report = Report([], [])
    found = [(frame.number, frame.payload) for frame in replay(folder, 0, report)]

    assert sorted(set(found)) == found
    assert set(found) <= set(enumerate(payloads, 1))
    assert found == [(frame.number, frame.payload) for frame in replay(folder, 0, Report([], []))], "mended once"
    if len(found) < len(payloads) and found and found[-1][0] == len(payloads):
        assert any("are missing" in words for words in report.damaged)


@settings(max_examples=150)
@given(st.lists(st.lists(st.text(max_size=20), min_size=1, max_size=3), min_size=1, max_size=6), damaged())
def test_a_damaged_outbox_gives_back_only_what_was_written_under_its_number(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[str]], hurt: Callable[[bytes], bytes]
) -> None:
    folder = tmp_path_factory.mktemp("outbox")
    outbox = Outbox(folder)
    for lsn, group in enumerate(groups, 1):
        outbox.append([Entry(0, "emf", 1, text) for text in group], Mark(lsn, 1))
    outbox.close()
    written = {entry.seq: entry.payload for entry in outbox.read(0, 1_000)}
    (segment,) = list_segments(folder)
    segment.path.write_bytes(hurt(segment.path.read_bytes()))
    found = Outbox(folder).read(0, 1_000)

    assert [entry.seq for entry in found] == sorted({entry.seq for entry in found})
    assert {entry.seq: entry.payload for entry in found}.items() <= written.items()


@given(st.binary(max_size=60) | damaged().map(lambda hurt: hurt(b'{"v": 1, "seq": 123}\n')))
@example(b'{"v":1,"seq":' + b"9" * 5_000 + b"}")
@example(b'{"v":1,"seq":true}')
@example(b"[" * 100_000)
def test_a_cursor_is_a_number_or_is_refused(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    path = tmp_path_factory.mktemp("cursor") / "x.cursor"
    path.write_bytes(text)
    try:
        seq = read_cursor(path)
    except CursorError:
        return

    assert 0 <= seq <= MAX_SEQ
    write_cursor(path, seq)
    assert seq == read_cursor(path)


@settings(max_examples=60)
@given(damaged())
def test_a_damaged_checkpoint_is_the_one_before(
    tmp_path_factory: pytest.TempPathFactory, hurt: Callable[[bytes], bytes]
) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    write_checkpoint(folder, 1, {"old": [1]})
    write_checkpoint(folder, 2, {"new": [2]})
    young = list_segments(folder)[-1].path
    young.write_bytes(hurt(young.read_bytes()))
    checkpoint, wrong = read_checkpoint(folder)

    assert (checkpoint.lsn, checkpoint.state, len(wrong)) in [(2, {"new": [2]}, 0), (1, {"old": [1]}, 1)]


@given(st.binary(max_size=80) | st.text(max_size=60).map(str.encode))
@example(b"a-token-of-some-length\xc2\x85and-one-more-of-these\n")
@example(b"a-token-of-some-length f\na-token-of-some-length g\n")
def test_a_token_file_is_used_or_refused(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    path.write_bytes(text)
    with suppress(TokenError):
        tokens = Tokens((), path)
        assert not tokens.allow(b"")
        assert len(tokens)


def test_a_good_batch_is_passed_on_as_it_came() -> None:
    text = body(call(AT_MS), finding(AT_MS))

    assert text == read_batch(text, Limits(65_536, 0, 1 << 50, passed_on=True)).text
