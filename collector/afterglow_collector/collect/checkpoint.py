"""Checkpoints: the whole state at one lsn, so that the journal before it can go.

In: an lsn and plain values. Out: a file that is there whole or not at all, and those that can be read, the youngest
first.

Two are kept: should the younger one turn out to be damaged, the older one and the journal since then make the
same state.
"""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from afterglow_collector.collect import frames
from afterglow_collector.collect.journal import write_all
from afterglow_collector.collect.segments import list_segments, salted, sync_folder

LOG = logging.getLogger(__name__)

OUTBOX_SEQ = "outbox_seq"
"""In a state: the number of the last outbox entry that it has published."""

KEPT = 2
_PART, _END = 1, 2
_PART_BYTES = 16 << 20


class Checkpoint(NamedTuple):
    """A state, and the last journal entry that is in it."""

    lsn: int
    state: dict[str, Any]


def write_checkpoint(folder: Path, lsn: int, state: dict[str, Any]) -> int:
    """Write a checkpoint, durably, and remove those that are too many. Return the oldest lsn that is still needed."""
    data = memoryview(msgspec.msgpack.encode(state))
    parts = [bytes(data[at : at + _PART_BYTES]) for at in range(0, len(data), _PART_BYTES)]
    _, path, salt = salted(folder, lsn)
    buffers = [frames.encode(_PART, number, part, salt) for number, part in enumerate(parts)]
    buffers.append(frames.encode(_END, len(parts), b"", salt))
    temporary = path.with_suffix(".new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, buffers)
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.replace(path)
    sync_folder(folder)
    kept = list_segments(folder)
    for segment in kept[:-KEPT]:
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:
            LOG.error("checkpoints: %s; it stays, and is passed over", error)  # noqa: TRY400 - the disk's fault
    return kept[-KEPT:][0].first


def read_checkpoints(folder: Path) -> Iterator[Checkpoint | str]:
    """Return the checkpoints, the youngest first; in words where one cannot be read."""
    for segment in reversed(list_segments(folder)):
        state = _read_state(segment.path, segment.salt)
        if state is None:
            yield f"checkpoint {segment.path.name} is damaged"
        else:
            yield Checkpoint(segment.first, state)


def read_checkpoint(folder: Path) -> tuple[Checkpoint, list[str]]:
    """Return the youngest checkpoint that can be read, an empty one if there is none, and what is wrong with others."""
    wrong: list[str] = []
    for found in read_checkpoints(folder):
        if isinstance(found, Checkpoint):
            return found, wrong
        wrong.append(found)
    return Checkpoint(0, {}), wrong


def _read_state(path: Path, salt: bytes) -> dict[str, Any] | None:
    parts: list[bytes] = []
    for found in frames.scan(path.read_bytes(), salt):
        if isinstance(found, frames.Damage) or found.number != len(parts):
            return None
        if found.kind == _END:
            return _decoded(b"".join(parts))
        parts.append(found.payload)
    return None


def _decoded(data: bytes) -> dict[str, Any] | None:
    try:
        state: Any = msgspec.msgpack.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return state if isinstance(state, dict) else None
