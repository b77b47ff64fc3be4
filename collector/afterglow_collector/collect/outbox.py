"""The outbox: what is finished and waits for the sinks, on disk, in order.

In: entries (EMF lines, findings, records), in groups that become visible whole or not at all. Out: entries
after a cursor. Each sink keeps a cursor of its own; ``trim`` removes what all of them have passed.

A group carries the ``mark`` of the journal entry that caused it. After a crash the journal is replayed, makes
the same groups with the same marks and numbers again, and those that are here are left out: so each entry has one
sequence number for ever, whatever dies when. What the disk has lost in the middle is put back at its old number.

Safe between threads: one appends, any number read.
"""

import logging
import os
from bisect import bisect_right
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import msgspec

from afterglow_collector.collect import frames
from afterglow_collector.collect.outbox_files import Group, Mark, Place, Row, load_places
from afterglow_collector.collect.segments import Segment, new_segment, sync_folder

LOG = logging.getLogger(__name__)

SEGMENT_BYTES = 16 << 20
READ_BYTES = 8 << 20
"""What is read at once, unless a single group is larger: a reader has all of it in memory."""

__all__ = ["Entry", "Mark", "Outbox"]


class Entry(NamedTuple):
    """One thing to send. ``seq`` counts from 1 without gaps; 0 is an entry that has not been appended yet."""

    seq: int
    kind: str  # emf, finding, record
    at_ms: int  # event time
    payload: str  # one line of JSON, without its newline


class Outbox:
    """Opens, or creates, the outbox in a folder; what cannot be read is put aside, skipped and told in ``damage``."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self.segment_bytes = segment_bytes
        self.unreadable = 0  # entries that a reader did not get
        self._lock = Lock()
        self._fd: int | None = None
        self._path: Path | None = None
        self._first = 0  # what the file is named by: one that holds but what was put back keeps its name, and grows
        self._salt = b""
        self._size = 0
        self._stay: dict[Path, None] = {}  # what is to go, and will not
        self._told: set[int] = set()  # numbers of groups that turned out to be unreadable
        folder.mkdir(parents=True, exist_ok=True)
        loaded = load_places(folder)
        self.damage = loaded.damage
        self.last_seq = loaded.last_seq
        self._places = loaded.places
        self._marks = {place.mark: place for place in self._places}
        self.last_mark = max(self._marks, default=Mark(0, 0))
        if loaded.segment is not None:
            self._reopen(loaded.segment, loaded.end)

    def append(self, entries: Iterable[Entry], mark: Mark | None = None, at: int | None = None) -> int:
        """Append one group and return its last number; OSError leaves the outbox as it was.

        ``at``: its first number, where that is known and free. TooLargeError if the group could not be read again.
        """
        rows: list[Row] = [(entry.kind, entry.at_ms, entry.payload) for entry in entries]
        if not rows:
            return self.last_seq
        mark = mark or self.last_mark
        first = self.last_seq + 1 if at is None else at
        payload = msgspec.msgpack.encode(Group(mark.lsn, mark.part, rows))
        if not frames.fits((payload,)):
            raise frames.TooLargeError(f"a group of {len(payload)} bytes")
        path = self._room_for(self.last_seq + 1, frames.HEADER_BYTES + len(payload))
        start = self._size
        self._write(frames.encode(_GROUP, first, payload, self._salt))
        place = Place(first, first + len(rows) - 1, path, start, self._size, self._salt, mark)
        with self._lock:
            self._places.insert(bisect_right(self._places, first, key=_first), place)
            self.last_seq = max(self.last_seq, place.last)
            self.last_mark = max(self.last_mark, mark)
        return place.last

    def read(self, after_seq: int, limit: int) -> list[Entry]:
        """Return up to ``limit`` entries with a number above ``after_seq``, in order; fewer if they are large."""
        found: list[Entry] = []
        size = 0
        for place in self._places_after(after_seq, limit):
            found += [entry for entry in self._entries(place) if entry.seq > after_seq]
            size += place.end - place.start
            if len(found) >= limit or (found and size >= READ_BYTES):
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
        """Remove the segments that hold only entries below ``before_seq``; the last one stays, and what will not go."""
        with self._lock:
            paths = {place.path for place in self._places}
            needed = {place.path for place in self._places if place.last >= before_seq} | {max(paths, default=None)}
            gone = paths - needed
            self._places = [place for place in self._places if place.path not in gone]
        for path in (*sorted(gone), *self._stay):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                if path not in self._stay:
                    LOG.error("outbox: %s; it is tried again, and passed over", error)  # noqa: TRY400 - the disk's fault
                self._stay[path] = None
            else:
                self._stay.pop(path, None)

    def skip_to(self, seq: int) -> None:
        """Have numbers go on behind this one."""
        if seq > self.last_seq:
            self.close()
            self.last_seq = seq

    def loaded(self, mark: Mark) -> Place | None:
        """Return the group of this mark, if it was here when the outbox was opened."""
        return self._marks.get(mark)

    def free(self, first: int, last: int) -> bool:
        """Say whether no group has a number from ``first`` to ``last``."""
        with self._lock:
            at = bisect_right(self._places, first - 1, key=_last)
            return at == len(self._places) or self._places[at].first > last

    def missing(self, after_seq: int) -> list[tuple[int, int]]:
        """Return which numbers are not here, first and last: behind ``after_seq``, or the first one here if it is 0."""
        with self._lock:
            places = self._places
        expected = after_seq + 1 if after_seq else min((place.first for place in places), default=1)
        stretches: list[tuple[int, int]] = []
        for place in places:
            if place.first > expected:
                stretches.append((expected, place.first - 1))
            expected = max(expected, place.last + 1)
        if expected <= self.last_seq:
            stretches.append((expected, self.last_seq))
        return stretches

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

    def _places_after(self, after_seq: int, limit: int) -> list[Place]:
        with self._lock:
            at = bisect_right(self._places, after_seq, key=_last)
            return self._places[at : at + limit]  # a group has at least one entry

    def _entries(self, place: Place) -> list[Entry]:
        """Read one group; none if its segment has been trimmed or damaged meanwhile, which is told."""
        try:
            rows = place.rows()
        except FileNotFoundError:
            return []
        if rows is None:
            if place.first not in self._told:
                self._told.add(place.first)
                self.unreadable += place.last + 1 - place.first
                LOG.error("outbox: %s: entries %d to %d cannot be read any more", place.path.name, *place[:2])
            return []
        return [Entry(place.first + index, *row) for index, row in enumerate(rows)]

    def _reopen(self, segment: Segment, end: int) -> None:
        with suppress(OSError):  # a new one will do
            self._fd = os.open(segment.path, os.O_WRONLY | os.O_CLOEXEC)
            (self._first, self._path, self._salt), self._size = segment, end

    def _room_for(self, first: int, size_bytes: int) -> Path:
        """Return the path to append to: a new segment when the last one is full."""
        full = self._size and self._size + size_bytes > self.segment_bytes and self._first < first
        if self._path is None or self._fd is None or full:
            self.close()
            self._first, self._path, self._salt = new_segment(self.folder, first)
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


_GROUP = 1


def _first(place: Place) -> int:
    return place.first


def _last(place: Place) -> int:
    return place.last
