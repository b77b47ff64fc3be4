"""A folder of append-only files, each named by the first number in it, and by the salt of its frames.

In: a folder. Out: its segments in order; names, sizes, removal, and the fsync of a folder that makes a new
name durable. Bytes that cannot be read go to ``quarantine/`` in it before anything is cut off.

The salt stands in the name because nothing that damages the file's bytes damages that.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".log"
DIGITS = 20  # of 2**64, so that names sort as numbers
SALT_BYTES = 8
QUARANTINE = "quarantine"
OLD_MAGIC = b"AGf1"
"""What the frames of Afterglow's first format begin with, whose files have no salt in their names."""

_NAME = re.compile(rf"(\d{{{DIGITS}}})(?:-([0-9a-f]{{{2 * SALT_BYTES}}}))?{re.escape(SUFFIX)}")


class Segment(NamedTuple):
    """One file; ``first`` is the number that its first frame has, or was to have."""

    first: int
    path: Path
    salt: bytes = b""


def list_segments(folder: Path) -> list[Segment]:
    """Return the folder's segments by their first number; other files are left alone."""
    names = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted(Segment(int(found[1]), path, bytes.fromhex(found[2] or "")) for found, path in names if found)


def segment_path(folder: Path, first: int, salt: bytes = b"") -> Path:
    """Return the path of the segment that begins with this number."""
    salted = f"-{salt.hex()}" if salt else ""
    return folder / f"{first:0{DIGITS}d}{salted}{SUFFIX}"


def salted(folder: Path, first: int) -> Segment:
    """Return a segment that begins with this number, with a salt of its own; it is still to be written."""
    salt = secrets.token_bytes(SALT_BYTES)
    return Segment(first, segment_path(folder, first, salt), salt)


def new_segment(folder: Path, first: int) -> Segment:
    """Do so in place of any that begins with this number: what is in it was never durable, or has been put aside."""
    for segment in list_segments(folder):
        if segment.first == first:
            segment.path.unlink()
    return salted(folder, first)


def old_segment(folder: Path) -> Path | None:
    """Return a file of the first format, if there is one."""
    for segment in list_segments(folder):
        if not segment.salt:
            with segment.path.open("rb") as file:
                if file.read(len(OLD_MAGIC)) == OLD_MAGIC:
                    return segment.path
    return None


def put_aside(path: Path, start: int, data: bytes) -> str:
    """Copy bytes of a file that cannot be read to where somebody may look at them; return the copy's name."""
    folder = path.parent / QUARANTINE
    folder.mkdir(mode=0o700, exist_ok=True)
    copy = folder / f"{path.stem}-{start}.bin"
    with copy.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(folder)
    return f"{QUARANTINE}/{copy.name}"


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
