"""Unpacks a body, and never more than it may hold.

In: the bytes as received and their Content-Encoding. Out: the plain bytes, or a BodyError with the HTTP status
that says what was wrong. Output is produced in steps, so that a bomb costs the limit and not what it claims.
"""

from functools import lru_cache

import zstandard
from isal import isal_zlib

ENCODINGS = {"": 0, "identity": 0, "gzip": 1, "zstd": 2}
"""What a Content-Encoding is called in the journal, which keeps bodies as they came."""

_ISAL_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stub takes the class for an instance

_RATIO_FREE_BYTES = 64 << 10
"""Below this the ratio is not asked: a small body of equal records packs very well, and can do no harm."""


MAX_MEMBERS = 64
"""Each one has what follows it copied: in a megabyte of empty members, most of a second."""


class BodyError(ValueError):
    """A body that cannot be taken: 400, 403, 413 or 415, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@lru_cache(16)
def encoding_code(name: str) -> int:
    """Return the code of a Content-Encoding; BodyError 415 names those that are understood."""
    code = ENCODINGS.get(name.strip().lower())
    if code is None:
        raise BodyError(415, f"Content-Encoding {name!r} is not understood; send identity, gzip or zstd")
    return code


def unpack(body: bytes, code: int, max_bytes: int, max_ratio: int) -> bytes:
    """Return the plain bytes; BodyError when they are damaged, or more than the limits allow."""
    if code == ENCODINGS["identity"]:
        return body
    limit = min(max_bytes, max(len(body) * max_ratio, _RATIO_FREE_BYTES))
    try:
        plain = _gunzip(body, limit) if code == ENCODINGS["gzip"] else _unzstd(body, limit)
    except (_ISAL_ERROR, zstandard.ZstdError) as error:
        raise BodyError(400, f"the body cannot be unpacked: {error}") from None
    if len(plain) > limit:
        what = f"{max_bytes} bytes" if limit == max_bytes else f"{max_ratio} times its packed size"
        raise BodyError(413, f"the body unpacks to more than {what}")
    return plain


def _gunzip(body: bytes, limit: int) -> bytes:
    """Unpack one or several gzip members, up to one byte more than the limit. ISA-L takes 17 µs where zlib takes 43."""
    parts: list[bytes] = []
    size = 0
    while body:
        if len(parts) == MAX_MEMBERS:
            raise BodyError(400, f"the body cannot be unpacked: it has more than {MAX_MEMBERS} gzip members")
        member = isal_zlib.decompressobj(wbits=31)
        part = member.decompress(body, limit - size + 1)
        parts.append(part)
        size += len(part)
        if size > limit:
            break
        if not member.eof:
            raise BodyError(400, "the body cannot be unpacked: its gzip stream ends early")
        body = member.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


_zstd = zstandard.ZstdDecompressor()


def _unzstd(body: bytes, limit: int) -> bytes:
    """Unpack the one frame; a header that claims more than the limit is believed, and nothing unpacked."""
    declared = zstandard.frame_content_size(body)
    if declared > limit:
        return bytes(limit + 1)
    try:
        return _zstd.decompress(body, max_output_size=limit, allow_extra_data=False)
    except zstandard.ZstdError:
        if declared < 0:  # it does not say: damaged, or larger than there was room for?
            return _more_than(body, limit)
        raise


def _more_than(body: bytes, limit: int) -> bytes:
    """Return one byte more than the limit if the frame has so many; else its error is raised again."""
    with _zstd.stream_reader(body, read_across_frames=False) as reader:
        plain = reader.read(limit + 1)
    if len(plain) <= limit:
        raise zstandard.ZstdError("the frame is damaged, ends early, or something follows it")
    return plain
