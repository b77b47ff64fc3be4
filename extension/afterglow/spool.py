"""What waits to be shipped: bounded in memory, then in /tmp; then the oldest batch goes, and is counted.

In: sealed batches. Out: the oldest that can be read, and how many records were given up, by reason.
"""

import os
from typing import NamedTuple

MEMORY_BYTES = 524_288  # of packed batches
DISK_BYTES = 8_388_608


class Batch(NamedTuple):
    """A sealed batch. ``body`` is in memory, or None when it lies in ``file``."""

    seq: int
    records: int
    size: int
    body: bytes | None
    file: str | None


class Spool:
    """Batches that wait, oldest first: in memory, then on disk, then no more. ``held``: the oldest is on its way."""

    def __init__(self, folder: str, name: str) -> None:
        self.prefix = f"{folder}/afterglow-{name}"
        self.batches: list[Batch] = []
        self.held = False
        self.dropped: dict[str, int] = {}

    def add(self, seq: int, records: int, body: bytes) -> None:
        """Keep one more batch."""
        in_memory = sum(batch.size for batch in self.batches if batch.body is not None)
        if in_memory + len(body) <= MEMORY_BYTES:
            self.batches.append(Batch(seq, records, len(body), body, None))
            return
        on_disk = sum(batch.size for batch in self.batches if batch.file is not None)
        while on_disk + len(body) > DISK_BYTES and len(self.batches) > self.held:
            gone = self.drop(int(self.held), "spool-full")  # what is on its way may have been counted already
            on_disk -= gone.size if gone.file is not None else 0
        file = f"{self.prefix}-{seq}"
        try:
            _write_new(file, body)
        except OSError as error:
            _unlink(file)  # a full disk may have taken a part
            self._count(f"spool: {error.strerror}", records)
            return
        self.batches.append(Batch(seq, records, len(body), None, file))

    def first(self) -> tuple[Batch, bytes] | None:
        """Return the oldest batch that can be read, with its body."""
        while self.batches:
            batch = self.batches[0]
            if batch.body is not None:
                return batch, batch.body
            try:
                with open(str(batch.file), "rb") as spooled:  # noqa: PTH123 - no pathlib in the sandbox
                    return batch, spooled.read()
            except OSError as error:
                self.drop(0, f"spool: {error.strerror}")
        return None

    def done(self, seq: int) -> None:
        """Forget a batch that has been taken."""
        for position, batch in enumerate(self.batches):
            if batch.seq == seq:
                self._remove(position)
                return

    def drop(self, position: int, reason: str) -> Batch:
        """Give a batch up, and count its records."""
        batch = self._remove(position)
        self._count(reason, batch.records)
        return batch

    def close(self, reason: str) -> None:
        """Give up everything that is left."""
        while self.batches:
            self.drop(0, reason)

    def _remove(self, position: int) -> Batch:
        batch = self.batches.pop(position)
        if batch.file is not None:
            _unlink(batch.file)
        return batch

    def _count(self, reason: str, records: int) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + records


def _write_new(path: str, body: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        left = memoryview(body)
        while left:
            left = left[os.write(fd, left) :]
    finally:
        os.close(fd)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)  # noqa: PTH108 - no pathlib in the sandbox
    except OSError:
        return  # It goes with the environment.
