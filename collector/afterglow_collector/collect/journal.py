"""The journal: what has been taken in, on disk before anybody is told so.

In: entries, from the event loop. Out: for each a call back on the loop, in order, once the entry is durable, with
its log sequence number (lsn); or once it is known that it will not be.

One thread writes. While it waits for the disk, entries gather; they are written together and synced once (group
commit), so the disk's latency bounds the answer's time and hardly the throughput. lsns have no gaps.

Room is reserved a segment at a time: to append without that costs the kernel three times the CPU (ext4, 45 KB a
batch: 60 to 70 µs, 20 with it), for each sync has to note the file's new size and place.

When a write or a sync fails, nobody can say what of it is on the disk (after a failed fsync the kernel may have
dropped the pages: Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020). So the
segment is left behind, and the next one begins with the first lsn that is not durable: a reader believes, for each
lsn, the youngest segment.
"""

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

import msgspec

from afterglow_collector.collect import frames
from afterglow_collector.collect.segments import list_segments, new_segment, sync_folder

LOG = logging.getLogger(__name__)

SEGMENT_BYTES = 64 << 20
GROUP_BYTES = 16 << 20
"""The most that is written before a sync: bounds how long the first of a group waits for the last."""

GATHER_S = 0.002
"""The least time between two syncs: under load, entries gather. A batch that comes alone does not wait for others."""

Done = Callable[[int, OSError | None], None]
"""Told (lsn, None) when the entry is durable, (0, why) when it is not."""


class Pending(msgspec.Struct, frozen=True, gc=False):
    """An entry on its way to the disk."""

    kind: int
    parts: tuple[bytes, ...]
    size: int
    done: Done


class Journal:
    """Appends after ``last_lsn``. ``post`` runs a function on the event loop, from the journal's thread."""

    def __init__(
        self,
        folder: Path,
        last_lsn: int,
        post: Callable[[Callable[[], None]], object],
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.folder = folder
        self.durable_lsn = last_lsn
        self.waiting_bytes = 0  # the loop's: appended and not yet answered
        self.waiting_entries = 0
        self.bytes_written = 0  # the thread's
        self.groups = 0
        self.failure: str | None = None  # why the last group could not be made durable
        self._post = post
        self._segment_bytes = segment_bytes
        self._queue: SimpleQueue[Pending | None] = SimpleQueue()
        self._fd: int | None = None
        self._salt = b""
        self._size = 0
        self._committed_s = 0.0
        self._thread = Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Start the writing thread. The first entry opens a segment of its own."""
        self._thread.start()

    def append(self, kind: int, parts: tuple[bytes, ...], done: Done) -> None:
        """Send an entry, its payload in parts, to the disk; ``done`` is called on the loop."""
        size = sum(map(len, parts))
        self.waiting_bytes += size
        self.waiting_entries += 1
        self._queue.put(Pending(kind, parts, size, done))

    def stop(self) -> None:
        """Write what is on its way, and end the thread. Calls back that were posted still have to run."""
        self._queue.put(None)
        self._thread.join()

    def remove_before(self, lsn: int) -> None:
        """Remove the segments in which every entry is older than ``lsn``; the last one stays, and what will not go."""
        segments = list_segments(self.folder)
        for segment, following in pairwise(segments):
            if following.first <= lsn:
                try:
                    segment.path.unlink(missing_ok=True)
                except OSError as error:
                    LOG.error("journal: %s; it stays, and is passed over", error)  # noqa: TRY400 - the disk's fault

    def _run(self) -> None:
        going_on = True
        while going_on:
            group, going_on = self._next_group()
            if group:
                error = self._commit(group)
                lsn = 0 if error else self.durable_lsn - len(group)
                self._post(partial(self._tell, group, lsn, error))
        self._leave_segment()

    def _next_group(self) -> tuple[list[Pending], bool]:
        """Wait for an entry; return it with all that came meanwhile, and whether there may be more."""
        group: list[Pending] = []
        size = 0
        item = self._queue.get()
        time.sleep(max(0.0, self._committed_s + GATHER_S - time.monotonic()))
        while item is not None:
            group.append(item)
            size += item.size
            if size >= GROUP_BYTES or self._queue.empty():
                return group, True
            item = self._queue.get()
        return group, False

    def _tell(self, group: list[Pending], lsn: int, error: OSError | None) -> None:
        for index, item in enumerate(group, 1):
            self.waiting_bytes -= item.size
            self.waiting_entries -= 1
            item.done(0 if error else lsn + index, error)

    def _commit(self, group: list[Pending]) -> OSError | None:
        try:
            fd = self._segment()
            buffers: list[bytes] = []
            for index, item in enumerate(group, 1):
                header = frames.encode_header(item.kind, self.durable_lsn + index, item.parts, self._salt)
                buffers += header, *item.parts
            size = write_all(fd, buffers, self._size)
            os.fdatasync(fd)
        except OSError as error:
            self._leave_segment(cut=True)
            if self.failure is None:
                LOG.error("nothing can be made durable: %s; senders are told to come again", error)  # noqa: TRY400 - the disk's fault
            self.failure = error.strerror or str(error)
            return error
        if self.failure is not None:
            LOG.warning("what comes in can be made durable again")
            self.failure = None
        self._committed_s = time.monotonic()
        self._size += size
        self.bytes_written += size
        self.groups += 1
        self.durable_lsn += len(group)
        return None

    def _segment(self) -> int:
        """Return the descriptor to write to: of a new segment, named by its first lsn, when the last is full."""
        if self._fd is not None and self._size >= self._segment_bytes:
            self._leave_segment()
        if self._fd is None:
            _, path, self._salt = new_segment(self.folder, self.durable_lsn + 1)
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            self._size = 0
            with suppress(OSError):  # a small disk has no room for all of it, and may have for what comes
                os.posix_fallocate(self._fd, 0, self._segment_bytes)
            sync_folder(self.folder)
        return self._fd

    def _leave_segment(self, *, cut: bool = False) -> None:
        """Close the segment, and give back the room behind what was committed. ``cut``: some of it was written to."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        with suppress(OSError):  # a reader goes by the next segment's first lsn, not by where this one ends
            os.ftruncate(fd, self._size)
            if cut:
                os.fdatasync(fd)
        with suppress(OSError):  # what was acknowledged has been synced
            os.close(fd)


_MOST_BUFFERS = 1024  # IOV_MAX on Linux


def write_all(fd: int, buffers: list[bytes], start: int = 0) -> int:
    """Write all buffers from ``start`` on, in as few calls as the kernel allows; return their bytes."""
    at = start
    for first in range(0, len(buffers), _MOST_BUFFERS):
        some = buffers[first : first + _MOST_BUFFERS]
        end = at + sum(map(len, some))
        at += os.pwritev(fd, some, at)
        if at < end:  # a full disk takes a part, and says so at the next call
            rest = memoryview(b"".join(some))[at - end :]
            while rest:
                done = os.pwrite(fd, rest, at)
                at, rest = at + done, rest[done:]
    return at - start
