"""Writes lines to a file descriptor and knows, when it cannot, how many of them are out.

In: a descriptor, lines. Out: nothing, or ShortWriteError with the number of lines that are whole.
"""

import errno
import os
import select
from collections.abc import Sequence

from afterglow_collector.plausible import is_utf8
from afterglow_collector.sinks.contract import NOT_UTF8, Entry

CHUNK_BYTES = 65_536  # a pipe's size on Linux: what a reader can take without a turn of its own


class ShortWriteError(OSError):
    """The descriptor took only so many lines. A torn line has been closed with a newline where that was possible."""

    def __init__(self, cause: OSError, lines: int) -> None:
        super().__init__(cause.errno, cause.strerror)
        self.lines = lines


def writable(entries: Sequence[Entry]) -> tuple[list[Entry], dict[str, int]]:
    """Return the entries that are UTF-8, and what the others are refused for."""
    good = [entry for entry in entries if is_utf8(entry.payload)]
    return good, {NOT_UTF8: len(entries) - len(good)} if len(good) < len(entries) else {}


def write_lines(fd: int, lines: Sequence[str]) -> None:
    """Write each line and a newline, in a few large writes."""
    encoded = [line.encode() + b"\n" for line in lines]
    data = memoryview(b"".join(encoded))
    written = 0
    try:
        while written < len(data):
            written += _write(fd, data[written : written + CHUNK_BYTES])
    except OSError as error:
        whole, at = _whole_lines(encoded, written)
        if written > at:
            _close_torn_line(fd)
        raise ShortWriteError(error, whole) from error


def _write(fd: int, data: memoryview) -> int:
    try:
        return os.write(fd, data)
    except BlockingIOError:
        # Somebody made the descriptor non-blocking, as terminals and supervisors do; 10 s as for any sink.
        if not select.select([], [fd], [], 10.0)[1]:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT)) from None
        return 0


def _whole_lines(encoded: Sequence[bytes], written: int) -> tuple[int, int]:
    """Return how many lines are out in full, and where the last of them ends."""
    at = 0
    for number, line in enumerate(encoded):
        if at + len(line) > written:
            return number, at
        at += len(line)
    return len(encoded), at


def _close_torn_line(fd: int) -> None:
    try:
        os.write(fd, b"\n")
    except OSError:
        return  # Whoever reads it finds one line that is no JSON, and the whole one after it.
