"""The sink ``file``: lines appended to a file that is rotated by size, and followed when others rotate it.

In: entries. Out: ``path``, and ``path.1`` (the newest) to ``path.<keep>``. A batch is on disk when ``send``
returns. One that does not fit (a full disk) is cut off again, so that trying once more repeats no line.
"""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from afterglow_collector.sinks.contract import LINES, SinkBatch, SinkRetry
from afterglow_collector.sinks.descriptor import ShortWriteError, writable, write_lines

MB = 1024 * 1024


class RotatingFile:
    """Appends lines. ``keep`` = 0 keeps the current file alone."""

    def __init__(
        self,
        path: Path,
        max_bytes: int = 100 * MB,
        keep: int = 5,
        kinds: frozenset[str] = LINES,
    ) -> None:
        self.name = f"file {path}"
        self.path = path
        self.max_bytes = max_bytes
        self.keep = keep
        self.kinds = kinds
        self._fd: int | None = None

    def send(self, batch: SinkBatch) -> Mapping[str, int]:
        """Append the batch and flush it to the disk."""
        entries, refused = writable(batch.entries)
        lines = [entry.payload for entry in entries]
        try:
            fd, size = self._open()
            if size and size + sum(len(line.encode()) + 1 for line in lines) > self.max_bytes:
                self._rotate()
                fd, size = self._open()
            self._append(fd, size, lines)
        except OSError as error:
            raise SinkRetry(errno.errorcode.get(error.errno or 0, str(error))) from error
        return refused

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _append(self, fd: int, size: int, lines: list[str]) -> None:
        try:
            write_lines(fd, lines)
            os.fsync(fd)
        except ShortWriteError:
            os.ftruncate(fd, size)
            raise

    def _open(self) -> tuple[int, int]:
        """Return the descriptor of what ``path`` names now, which logrotate may have moved away, and its size."""
        if self._fd is not None:
            mine = os.fstat(self._fd)
            try:
                named = self.path.stat()
            except FileNotFoundError:
                named = None
            if named is not None and (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino):
                return self._fd, mine.st_size
            self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        return self._fd, os.fstat(self._fd).st_size

    def _rotate(self) -> None:
        self.close()
        if self.keep == 0:
            self.path.unlink()
            return
        for number in range(self.keep - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        self.path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
