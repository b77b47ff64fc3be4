"""Checkpoints: the whole state at one lsn, so that the journal before it can go.

In: an lsn and plain values. Out: a file that is there whole or not at all, and the youngest one that can be read.

Two are kept: should the younger one turn out to be damaged, the older one and the journal since then make the
same state.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from afterglow_collector.collect import frames
from afterglow_collector.collect.journal import write_all
from afterglow_collector.collect.segments import list_segments, segment_path, sync_folder

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
    buffers = [frames.encode(_PART, number, part) for number, part in enumerate(parts)]
    buffers.append(frames.encode(_END, len(parts), b""))
    path = segment_path(folder, lsn)
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
        segment.path.unlink()
    return kept[-KEPT:][0].first


def read_checkpoint(folder: Path) -> tuple[Checkpoint, list[str]]:
    """Return the youngest checkpoint that can be read, an empty one if there is none, and what is wrong with others."""
    wrong: list[str] = []
    for segment in reversed(list_segments(folder)):
        state = _read_state(segment.path)
        if state is not None:
            return Checkpoint(segment.first, state), wrong
        wrong.append(f"checkpoint {segment.path.name} is damaged; the one before it is used")
    return Checkpoint(0, {}), wrong


def _read_state(path: Path) -> dict[str, Any] | None:
    parts: list[bytes] = []
    for found in frames.scan(path.read_bytes()):
        if isinstance(found, frames.Damage) or found.number != len(parts):
            return None
        if found.kind == _END:
            state: dict[str, Any] = msgspec.msgpack.decode(b"".join(parts))
            return state
        parts.append(found.payload)
    return None
