"""What stands in the journal: batches as they came, and the moments at which minutes were closed.

In: values. Out: bytes, and back. A batch is kept packed as it was sent: less to write, and nothing to pack.
"""

from struct import Struct
from typing import NamedTuple

BATCH, CLOSE = 1, 2
"""Kinds of frame in the journal."""

FOREVER = (1 << 53) - 1
"""As ``before`` of a Close: every window, whatever its minute."""

_BATCH_HEADER = Struct("<QQB3x")
_CLOSE = Struct("<QQ")


class StoredBatch(NamedTuple):
    """A batch that was taken in. Its records are judged by when it was received, then as after a restart."""

    received_ms: int
    seq: int
    encoding: int  # bodies.ENCODINGS
    body: bytes


class Close(NamedTuple):
    """The minutes before this one are over."""

    now_ms: int
    before: int


def encode_batch(batch: StoredBatch) -> tuple[bytes, bytes]:
    """Return the batch's bytes, in two parts: the body, which may be large, is not copied."""
    return _BATCH_HEADER.pack(batch.received_ms, batch.seq, batch.encoding), batch.body


def decode_stored(payload: bytes) -> StoredBatch:
    """Return the batch that the bytes stand for."""
    received_ms, seq, encoding = _BATCH_HEADER.unpack_from(payload)
    return StoredBatch(received_ms, seq, encoding, payload[_BATCH_HEADER.size :])


def encode_close(close: Close) -> bytes:
    """Return the moment's bytes."""
    return _CLOSE.pack(close.now_ms, close.before)


def decode_close(payload: bytes) -> Close:
    """Return the moment that the bytes stand for."""
    return Close(*_CLOSE.unpack(payload))
