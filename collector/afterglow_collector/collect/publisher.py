"""Writes what is finished into the outbox, on a thread of its own, in the order of the journal.

In: publications, batches to be passed on, checkpoints. Out: outbox entries, each with the mark of its cause; then
checkpoints, written only when everything before them is in the outbox and that is durable.

A hundred thousand series take seconds to be turned into lines; the event loop goes on meanwhile. What a full disk
refuses is tried again until it is taken: the journal keeps its cause.

A replay makes again what was published. Numbers follow from the journal as all else does, so what the outbox still has
is left out, and what it has lost is put back where it was.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, NamedTuple, Protocol

from afterglow.emf import DIMENSIONS, Emitter, dimension_value, encode
from afterglow.window import MINUTE_MS, Series, Window
from afterglow_collector.collect.checkpoint import OUTBOX_SEQ, write_checkpoint
from afterglow_collector.collect.outbox import Entry, Mark, Outbox
from afterglow_collector.collect.state import Publication

LOG = logging.getLogger(__name__)

RETRY_S = 1.0
FINDINGS_AT_ONCE = 256
GROUP_BYTES = 4 << 20
"""Of lines in one group: a reader has all of a group in memory, and a frame holds so much and no more."""


class Passing(NamedTuple):
    """A batch that some sink wants as it came."""

    lsn: int
    at_ms: int
    body: bytes


def _nothing() -> None:
    pass


class Snapshot(NamedTuple):
    """A state to be kept on disk, and what to do when it is there, with the oldest lsn that is still needed.

    ``failed`` is called when it cannot be: it is left out then, for all behind it can be published without it.
    """

    lsn: int
    state: dict[str, Any]
    done: Callable[[int], None]
    failed: Callable[[], None] = _nothing


class Reader(Protocol):
    """Somebody who reads the outbox, and is told when there is something new."""

    def wake(self) -> None:
        """Look into the outbox."""


Item = Publication | Passing | Snapshot


class Publisher:
    """``published`` counts outbox entries by kind; ``restored`` those that the outbox had lost.

    ``waiting_bytes`` is what lies in memory and waits to be published: it grows while a minute with many series is.
    """

    def __init__(self, outbox: Outbox, checkpoints: Path, emitter: Emitter, readers: Sequence[Reader]) -> None:
        self.outbox = outbox
        self.checkpoints = checkpoints
        self.emitter = emitter
        self.published: dict[str, int] = {}
        self.restored = 0
        self.failure: str | None = None  # why the disk takes nothing at the moment
        self._readers = readers
        self._names = list(dict.fromkeys(name for names in emitter.dimension_sets for name in names))
        self._queue: SimpleQueue[Item | None] = SimpleQueue()
        self._put_bytes = self._done_bytes = 0  # the loop's, and the thread's
        self._next_seq = outbox.last_seq + 1
        self._needed_after = 0
        self._replaying = False
        self._given_up = Event()
        self._thread = Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def resume(self, outbox_seq: int, needed_after: int) -> None:
        """Begin a replay: the outbox ended with ``outbox_seq`` then, and every sink has all up to ``needed_after``."""
        self.outbox.skip_to(outbox_seq)
        self._next_seq, self._needed_after, self._replaying = outbox_seq + 1, needed_after, True

    def resumed(self) -> None:
        """End the replay."""
        self._replaying = False

    @property
    def waiting_bytes(self) -> int:
        """Return how much lies in memory and waits to be published."""
        return self._put_bytes - self._done_bytes

    def put(self, item: Item) -> None:
        """Take the next thing to be published; from the event loop, in the order of the journal."""
        self._put_bytes += _size_of(item)
        self._queue.put(item)

    def stop(self) -> None:
        """Publish what there is, and end. What the disk does not take now is made again from the journal."""
        self._given_up.set()
        self._queue.put(None)
        self._thread.join()

    def publish(self, item: Item) -> None:
        """Publish one thing, on the caller's thread: for the replay, and for the thread itself. OSError: not now."""
        if isinstance(item, Snapshot):
            self.outbox.sync()
            state = {**item.state, OUTBOX_SEQ: self.outbox.last_seq}
            item.done(write_checkpoint(self.checkpoints, item.lsn, state))
            return
        groups = self._passed_on(item) if isinstance(item, Passing) else self._published(item)
        for part, entries in enumerate(groups, 1):
            mark = Mark(item.lsn, part)
            if self._replaying:
                self._append_again(entries, mark)
            elif mark > self.outbox.last_mark:  # else a try before this one has come so far
                self._append(entries, mark)
        for reader in self._readers:
            reader.wake()

    def _append(self, entries: list[Entry], mark: Mark, at: int | None = None) -> None:
        self.outbox.append(entries, mark, at)
        for entry in entries:
            self.published[entry.kind] = self.published.get(entry.kind, 0) + 1

    def _append_again(self, entries: list[Entry], mark: Mark) -> None:
        """Append a group that may be there, or may have been: where its number is free, the disk has lost it."""
        outbox, first = self.outbox, self._next_seq
        last = first + len(entries) - 1
        known = outbox.loaded(mark)
        if known is not None:
            self._next_seq = known.last + 1
        elif mark > outbox.last_mark:
            self._append(entries, mark, max(first, outbox.last_seq + 1))
            self._next_seq = outbox.last_seq + 1
        elif outbox.free(first, last):
            self._next_seq = last + 1
            if last > self._needed_after:
                self._append(entries, mark, first)
                self.restored += len(entries)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            while not self._tried(item):
                if self._given_up.wait(RETRY_S):
                    return
            self._done_bytes += _size_of(item)

    def _tried(self, item: Item) -> bool:
        try:
            self.publish(item)
        except OSError as error:
            if isinstance(item, Snapshot):
                LOG.error("the state cannot be saved: %s; the journal is kept until it can", error)  # noqa: TRY400 - as below
                item.failed()
                return True
            if self.failure is None:
                LOG.error("nothing can be published: %s; it is tried again every %g s", error, RETRY_S)  # noqa: TRY400 - the disk's fault, no bug's
            self.failure = str(error)
            return False
        except Exception as error:  # this thread ends, and nobody else would say that nothing is published any more
            self.failure = f"a bug of the collector's, {error!r}; what was taken is in the journal"
            raise
        self.failure = None
        return True

    def _passed_on(self, item: Passing) -> Iterator[list[Entry]]:
        # Accepted lines are UTF-8; a journal of an older version may hold others.
        yield [Entry(0, "record", item.at_ms, item.body.decode("utf-8", "replace"))]

    def _published(self, item: Publication) -> Iterator[list[Entry]]:
        for at in range(0, len(item.findings), FINDINGS_AT_ONCE):
            some = item.findings[at : at + FINDINGS_AT_ONCE]
            yield [Entry(0, "finding", at_ms, line) for at_ms, line in some]
        for windows in item.closed.groups(self._group_key):
            yield from _in_pieces(self._documents(windows))

    def _documents(self, windows: list[Window]) -> Iterator[Entry]:
        """Return the windows' documents. Whether they are too old for CloudWatch, its sink says when it sends."""
        for (minute, _), run in groupby(windows, lambda window: (window.minute, self._group_key(window.series))):
            at_ms = minute * MINUTE_MS
            for line in encode(run, self.emitter, at_ms).lines:
                yield Entry(0, "emf", at_ms, line)

    def _group_key(self, series: Series) -> tuple[str, ...]:
        """Return what makes series one in CloudWatch: they have to meet in one call of the encoder."""
        return tuple(dimension_value(DIMENSIONS[name](series)) for name in self._names)


def _in_pieces(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    """Cut them into groups that a reader can take."""
    group: list[Entry] = []
    size = 0
    for entry in entries:
        if group and size + len(entry.payload) > GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(entry)
        size += len(entry.payload)
    if group:
        yield group


def _size_of(item: Item) -> int:
    return len(item.body) if isinstance(item, Passing) else 0
