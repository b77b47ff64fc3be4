"""The outbox: what is finished and waits for the sinks, on disk, in order.

In: entries (EMF lines, findings, records), in groups that become visible whole or not at all. Out: entries
after a cursor. Each sink keeps a cursor of its own; ``trim`` removes what all of them have passed.

A group carries the ``mark`` of the journal entry that caused it. After a crash the journal is replayed, makes
the same groups with the same marks again, and those up to ``last_mark`` are already here: so each entry has one
sequence number for ever, whatever dies when.

Safe between threads: one appends, any number read.
"""

import os
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import msgspec

from afterglow_collector.collect import frames
from afterglow_collector.collect.segments import list_segments, segment_path, sync_folder, truncate

SEGMENT_BYTES = 16 << 20
_GROUP = 1


class Entry(NamedTuple):
    """One thing to send. ``seq`` counts from 1 without gaps; 0 is an entry that has not been appended yet."""

    seq: int
    kind: str  # emf, finding, record
    at_ms: int  # event time
    payload: str  # one line of JSON, without its newline


class Mark(NamedTuple):
    """Which journal entry caused a group, and which of its groups it is."""

    lsn: int
    part: int


_Row = tuple[str, int, str]


class _Group(msgspec.Struct, array_like=True, gc=False):
    lsn: int
    part: int
    rows: list[_Row]


class _Place(NamedTuple):
    """Where a group lies."""

    first: int
    last: int
    path: Path
    start: int
    end: int


class Outbox:
    """Opens, or creates, the outbox in a folder; a torn end is cut off, damage within is skipped and told."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self.segment_bytes = segment_bytes
        self.last_seq = 0
        self.last_mark = Mark(0, 0)
        self.damage: list[str] = []
        self._lock = Lock()
        self._places: list[_Place] = []
        self._fd: int | None = None
        self._path: Path | None = None
        self._size = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._load()

    def append(self, entries: Iterable[Entry], mark: Mark | None = None) -> int:
        """Append one group and return the last sequence number; OSError leaves the outbox as it was."""
        rows: list[_Row] = [(entry.kind, entry.at_ms, entry.payload) for entry in entries]
        if not rows:
            return self.last_seq
        mark = mark or self.last_mark
        first = self.last_seq + 1
        frame = frames.encode(_GROUP, first, msgspec.msgpack.encode(_Group(mark.lsn, mark.part, rows)))
        path = self._room_for(first, len(frame))
        start = self._size
        self._write(frame)
        with self._lock:
            self._places.append(_Place(first, first + len(rows) - 1, path, start, self._size))
            self.last_seq += len(rows)
            self.last_mark = mark
        return self.last_seq

    def read(self, after_seq: int, limit: int) -> list[Entry]:
        """Return up to ``limit`` entries with a sequence number above ``after_seq``, in order."""
        found: list[Entry] = []
        for place in self._places_after(after_seq, limit):
            found += [entry for entry in _entries(place) if entry.seq > after_seq]
            if len(found) >= limit:
                break
        return found[:limit]

    def last_seq_beyond(self, most_bytes: int | None) -> int:
        """Return the last number that has to go for all after it to take ``most_bytes`` at most; 0 if none has."""
        if most_bytes is None:
            return 0
        left = most_bytes
        with self._lock:
            for place in reversed(self._places):
                left -= place.end - place.start
                if left < 0:
                    return place.last
        return 0

    def trim(self, before_seq: int) -> None:
        """Remove the segments that hold only entries below ``before_seq``; the last one stays."""
        with self._lock:
            paths = list(dict.fromkeys(place.path for place in self._places))
            needed = {place.path for place in self._places if place.last >= before_seq}
            gone = {path for path in paths[:-1] if path not in needed}
            self._places = [place for place in self._places if place.path not in gone]
        for path in gone:
            path.unlink(missing_ok=True)

    def sync(self) -> None:
        """Make durable what has been appended."""
        if self._fd is not None:
            os.fdatasync(self._fd)

    def size_bytes(self) -> int:
        """Return what the outbox takes on disk."""
        with self._lock:
            return sum(place.end - place.start for place in self._places)

    def close(self) -> None:
        """Make all durable, and let go of the file."""
        if self._fd is not None:
            os.fdatasync(self._fd)
            os.close(self._fd)
            self._fd = None

    def _places_after(self, after_seq: int, limit: int) -> list[_Place]:
        with self._lock:
            at = bisect_right(self._places, after_seq, key=lambda place: place.last)
            return self._places[at : at + limit]  # a group has at least one entry

    def _room_for(self, first: int, size_bytes: int) -> Path:
        """Return the path to append to: a new segment when the last one is full."""
        if self._path is None or self._fd is None or (self._size and self._size + size_bytes > self.segment_bytes):
            self.close()
            self._path = segment_path(self.folder, first)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            self._size = 0
            sync_folder(self.folder)
        return self._path

    def _write(self, frame: bytes) -> None:
        assert self._fd is not None  # noqa: S101 - _room_for has opened it
        view = memoryview(frame)
        written = 0
        try:
            while written < len(view):
                written += os.pwrite(self._fd, view[written:], self._size + written)
        except OSError:
            os.ftruncate(self._fd, self._size)  # a full disk: what was half written must not be found again
            raise
        self._size += written

    def _load(self) -> None:
        for segment in list_segments(self.folder):
            self.last_seq = max(self.last_seq, segment.first - 1)  # its groups may all be torn off
            self._load_segment(segment.path)
        if self._path is not None:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)

    def _load_segment(self, path: Path) -> None:
        self._path, self._size = path, 0
        for found in frames.scan(path.read_bytes()):
            if isinstance(found, frames.Frame):
                self._load_group(found, path)
            elif found.torn:
                truncate(path, found.start)
                self.damage.append(f"{path.name}: cut off {found.end - found.start} torn bytes at {found.start}")
            else:
                self.damage.append(f"{path.name}: skipped {found.end - found.start} damaged bytes at {found.start}")

    def _load_group(self, frame: frames.Frame, path: Path) -> None:
        group = msgspec.msgpack.decode(frame.payload, type=_Group)
        last_seq = frame.number + len(group.rows) - 1
        self._places.append(_Place(frame.number, last_seq, path, frame.start, frame.end))
        self.last_seq = last_seq
        self.last_mark = Mark(group.lsn, group.part)
        self._size = frame.end


def _entries(place: _Place) -> list[Entry]:
    """Read one group; none if its segment has been trimmed or damaged meanwhile."""
    try:
        with place.path.open("rb") as file:
            file.seek(place.start)
            frame = frames.frame_at(file.read(place.end - place.start), 0)
    except FileNotFoundError:
        return []
    if frame is None:
        return []
    rows = msgspec.msgpack.decode(frame.payload, type=_Group).rows
    return [Entry(place.first + index, *row) for index, row in enumerate(rows)]
