"""Writes what is finished into the outbox, on a thread of its own, in the order of the journal.

In: publications, batches to be passed on, checkpoints. Out: outbox entries, each with the mark of its cause; then
checkpoints, written only when everything before them is in the outbox and that is durable.

A hundred thousand series take seconds to be turned into lines; the event loop goes on meanwhile. What a full disk
refuses is tried again until it is taken: the journal keeps its cause.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, NamedTuple, Protocol

from afterglow.emf import DIMENSIONS, Emitter, dimension_value, encode
from afterglow.window import Series
from afterglow_collector.collect.checkpoint import write_checkpoint
from afterglow_collector.collect.outbox import Entry, Mark, Outbox
from afterglow_collector.collect.state import Publication

LOG = logging.getLogger(__name__)

RETRY_S = 1.0
FINDINGS_AT_ONCE = 256


class Passing(NamedTuple):
    """A batch that some sink wants as it came."""

    lsn: int
    at_ms: int
    body: bytes


class Snapshot(NamedTuple):
    """A state to be kept on disk, and what to do when it is there, with the oldest lsn that is still needed."""

    lsn: int
    state: dict[str, Any]
    done: Callable[[int], None]


class Reader(Protocol):
    """Somebody who reads the outbox, and is told when there is something new."""

    def wake(self) -> None:
        """Look into the outbox."""


Item = Publication | Passing | Snapshot


class Publisher:
    """``published`` counts outbox entries by kind; ``unpublishable`` windows that CloudWatch would refuse."""

    def __init__(self, outbox: Outbox, checkpoints: Path, emitter: Emitter, readers: Sequence[Reader]) -> None:
        self.outbox = outbox
        self.checkpoints = checkpoints
        self.emitter = emitter
        self.published: dict[str, int] = {}
        self.unpublishable = 0
        self.failure: str | None = None  # why the disk takes nothing at the moment
        self._readers = readers
        self._names = list(dict.fromkeys(name for names in emitter.dimension_sets for name in names))
        self._queue: SimpleQueue[Item | None] = SimpleQueue()
        self._given_up = Event()
        self._thread = Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, item: Item) -> None:
        """Take the next thing to be published; from the event loop, in the order of the journal."""
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
            item.done(write_checkpoint(self.checkpoints, item.lsn, item.state))
            return
        groups = self._passed_on(item) if isinstance(item, Passing) else self._published(item)
        for part, entries in enumerate(groups, 1):
            mark = Mark(item.lsn, part)
            if mark > self.outbox.last_mark:
                self.outbox.append(entries, mark)
                for entry in entries:
                    self.published[entry.kind] = self.published.get(entry.kind, 0) + 1
        for reader in self._readers:
            reader.wake()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            while not self._tried(item):
                if self._given_up.wait(RETRY_S):
                    return

    def _tried(self, item: Item) -> bool:
        try:
            self.publish(item)
        except OSError as error:
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
        # A line that is no UTF-8 was refused, and said so, but stands in the batch beside the good ones.
        yield [Entry(0, "record", item.at_ms, item.body.decode("utf-8", "replace"))]

    def _published(self, item: Publication) -> Iterator[list[Entry]]:
        for at in range(0, len(item.findings), FINDINGS_AT_ONCE):
            some = item.findings[at : at + FINDINGS_AT_ONCE]
            yield [Entry(0, "finding", at_ms, line) for at_ms, line in some]
        for windows in item.closed.groups(self._group_key):
            entries: list[Entry] = []
            for minute in sorted({window.minute for window in windows}):
                output = encode([one for one in windows if one.minute == minute], self.emitter, item.now_ms)
                entries += [Entry(0, "emf", minute * 60_000, line) for line in output.lines]
                self.unpublishable += output.too_old + output.too_new
            yield entries

    def _group_key(self, series: Series) -> tuple[str, ...]:
        """Return what makes series one in CloudWatch: they have to meet in one call of the encoder."""
        return tuple(dimension_value(DIMENSIONS[name](series)) for name in self._names)
