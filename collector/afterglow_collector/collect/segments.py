"""A folder of append-only files, each named by the first number in it.

In: a folder. Out: its segments in order; names, sizes, removal, and the fsync of a folder that makes a new
name durable.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".log"
DIGITS = 20  # of 2**64, so that names sort as numbers


class Segment(NamedTuple):
    """One file; ``first`` is the number that its first frame has, or was to have."""

    first: int
    path: Path


def list_segments(folder: Path) -> list[Segment]:
    """Return the folder's segments by their first number; other files are left alone."""
    names = sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX) and path.stem.isdecimal())
    return [Segment(int(path.stem), path) for path in names]


def segment_path(folder: Path, first: int) -> Path:
    """Return the path of the segment that begins with this number."""
    return folder / f"{first:0{DIGITS}d}{SUFFIX}"


def sync_folder(folder: Path) -> None:
    """Make the folder's names durable: a new, renamed or removed file is so only after this."""
    with _descriptor(folder, os.O_RDONLY | os.O_DIRECTORY) as fd:
        os.fsync(fd)


def truncate(path: Path, size_bytes: int) -> None:
    """Cut the file to this size, durably."""
    with _descriptor(path, os.O_WRONLY) as fd:
        os.ftruncate(fd, size_bytes)
        os.fsync(fd)


@contextmanager
def _descriptor(path: Path, flags: int) -> Iterator[int]:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
