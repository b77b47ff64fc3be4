"""What stands in the journal: what counts of each batch, and the moments at which minutes were closed.

In: values. Out: bytes, in parts that are not copied together, and back.
"""

from struct import Struct
from typing import NamedTuple

import msgspec

BATCH, CLOSE = 1, 2
"""Kinds of frame in the journal."""

FOREVER = (1 << 53) - 1
"""As ``before`` of a Close: every window, whatever its minute."""

_BATCH_HEADER = Struct("<QQI4x")
_CLOSE = Struct("<QQQ")


class EntryError(ValueError):
    """Bytes that are no entry of this version: says why."""


class StoredBatch(msgspec.Struct, frozen=True, gc=False):
    """A batch that was taken in: ``digest`` is Digester's, ``body`` the accepted lines if a sink wants them."""

    received_ms: int
    seq: int
    digest: bytes
    body: bytes


class Close(NamedTuple):
    """The minutes before this one are over. ``steady_ms`` have passed since the last Close, by no clock that is set."""

    now_ms: int
    before: int
    steady_ms: int = 0


def encode_batch(batch: StoredBatch) -> tuple[bytes, ...]:
    """Return the batch's bytes."""
    return _BATCH_HEADER.pack(batch.received_ms, batch.seq, len(batch.digest)), batch.digest, batch.body


def decode_batch(payload: bytes) -> StoredBatch:
    """Return the batch that the bytes stand for; EntryError if they are none."""
    if len(payload) < _BATCH_HEADER.size:
        raise EntryError(f"{len(payload)} bytes are no batch")
    received_ms, seq, size = _BATCH_HEADER.unpack_from(payload)
    end = _BATCH_HEADER.size + size
    if end > len(payload) or max(received_ms, seq) > FOREVER:
        raise EntryError("a batch of other sizes than it says")
    return StoredBatch(received_ms, seq, payload[_BATCH_HEADER.size : end], payload[end:])


def encode_close(close: Close) -> bytes:
    """Return the moment's bytes."""
    return _CLOSE.pack(*close)


def decode_close(payload: bytes) -> Close:
    """Return the moment that the bytes stand for; EntryError if they are none."""
    if len(payload) != _CLOSE.size:
        raise EntryError(f"{len(payload)} bytes are no close")
    close = Close(*_CLOSE.unpack(payload))
    if max(close) > FOREVER:
        raise EntryError(f"no such moment: {close}")
    return close
