"""Frames: how the journal and the outbox lie on disk.

In: a kind, a number, a payload, the file's salt. Out: ``magic | CRC-32 of the payload | length | kind | number |
CRC-32 of the header | payload``, and back.

A reader trusts a frame only if both CRCs fit. A header that fits tells how far its frame reaches, whatever has become
of the payload: damage is skipped in one step, and nothing within it is looked at. Behind a damaged header the magic
lets a reader find the next frame.

**The salt** is some random bytes per file. Magic and CRCs depend on it, so nobody who sends what is written here can
make it look like a frame. CRC-32 is zlib's: it runs at 5 GB/s in the standard library, CRC-32C would be one dependency
more for no better an answer.
"""

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import NamedTuple
from zlib import crc32

MAGIC = b"AGf2"
"""Of frames without a salt: checks and tests write those."""

_FIELDS = Struct("<4sIIIQ")  # magic, payload's crc, payload's length, kind, number
_CRC = Struct("<I")
HEADER_BYTES = _FIELDS.size + _CRC.size
MAX_PAYLOAD_BYTES = 160 << 20
"""What is longer is not written, and damage when it is read. 64 MB of body, unpacked, have room, with their digest."""

MAX_KIND, MAX_NUMBER = (1 << 32) - 1, (1 << 63) - 1


class Frame(NamedTuple):
    """One frame and where it lay: ``start`` ≤ bytes < ``end`` of its file."""

    kind: int
    number: int
    payload: bytes
    start: int
    end: int


class Damage(NamedTuple):
    """Bytes that are no frame. ``torn``: nothing whole comes after them.

    ``cut``: they are a frame's beginning, as a write leaves it that did not come to its end. ``number`` is its number,
    None where no header tells.
    """

    start: int
    end: int
    torn: bool
    cut: bool = False
    number: int | None = None


class TooLargeError(ValueError):
    """A payload that no reader would take."""


def magic_of(salt: bytes) -> bytes:
    """Return what the frames of a file begin with."""
    return salt[: len(MAGIC)] or MAGIC


def fits(parts: Sequence[bytes]) -> bool:
    """Say whether a payload of these parts can be written."""
    length = 0
    for part in parts:
        length += len(part)
    return length <= MAX_PAYLOAD_BYTES


def encode(kind: int, number: int, payload: bytes, salt: bytes = b"") -> bytes:
    """Return the frame's bytes; TooLargeError if no reader would take them."""
    return encode_header(kind, number, (payload,), salt) + payload


def encode_header(kind: int, number: int, parts: Sequence[bytes], salt: bytes = b"") -> bytes:
    """Return the bytes that go before the payload's parts, for a writer that gathers."""
    length, checksum = sum(map(len, parts)), crc32(salt)
    if length > MAX_PAYLOAD_BYTES:
        raise TooLargeError(f"an entry of more than {MAX_PAYLOAD_BYTES} bytes")
    for part in parts:
        checksum = crc32(part, checksum)
    fields = _FIELDS.pack(magic_of(salt), checksum, length, kind, number)
    return fields + _CRC.pack(crc32(fields, crc32(salt)))


class _Header(NamedTuple):
    checksum: int
    kind: int
    number: int
    start: int  # of the payload
    end: int


def _header_at(data: bytes | memoryview, start: int, salt: bytes) -> _Header | None:
    if start + HEADER_BYTES > len(data):
        return None
    magic, checksum, length, kind, number = _FIELDS.unpack_from(data, start)
    if magic != magic_of(salt) or length > MAX_PAYLOAD_BYTES:
        return None
    (own,) = _CRC.unpack_from(data, start + _FIELDS.size)
    if crc32(memoryview(data)[start : start + _FIELDS.size], crc32(salt)) != own:
        return None
    begin = start + HEADER_BYTES
    return _Header(checksum, kind, number, begin, begin + length)


def _frame_of(header: _Header, data: bytes | memoryview, start: int, salt: bytes) -> Frame | None:
    if header.end > len(data):
        return None
    payload = memoryview(data)[header.start : header.end]
    if crc32(payload, crc32(salt)) != header.checksum:
        return None
    return Frame(header.kind, header.number, bytes(payload), start, header.end)


def frame_at(data: bytes | memoryview, start: int, salt: bytes = b"") -> Frame | None:
    """Return the frame that begins at ``start``; None if none does, or if it is not whole."""
    header = _header_at(data, start, salt)
    return None if header is None else _frame_of(header, data, start, salt)


def scan(data: bytes, salt: bytes = b"") -> Iterator[Frame | Damage]:
    """Return what a file holds, in order: whole frames, and the stretches between them that are none.

    Zeros at the end are room that was reserved, or given by the file system, and not written: no damage.
    """
    at, end = 0, len(data.rstrip(b"\0"))  # a frame may reach beyond it, if it ends in zeros
    while at < end:
        header = _header_at(data, at, salt)
        frame = None if header is None else _frame_of(header, data, at, salt)
        if frame is not None:
            yield frame
            at = frame.end
            continue
        if header is not None:
            cut, number, behind = end < header.end, header.number, header.end
        else:
            cut, number, behind = _may_begin(data[at:end], salt), None, _next_header(data, at + 1, end, salt)
        yield Damage(at, min(behind, end), torn=behind >= end, cut=cut, number=number)
        at = behind


def _may_begin(rest: bytes, salt: bytes) -> bool:
    """Say whether these bytes, the last of a file, are a frame's first ones, and not all of its header."""
    magic = magic_of(salt)
    return len(rest) < HEADER_BYTES and rest[: len(magic)] == magic[: len(rest)]


def _next_header(data: bytes, start: int, end: int, salt: bytes) -> int:
    """Return where the next frame begins whose header fits; the end if none does."""
    at = data.find(magic_of(salt), start, end)
    while at >= 0:
        if _header_at(data, at, salt) is not None:
            return at
        at = data.find(magic_of(salt), at + 1, end)
    return end
