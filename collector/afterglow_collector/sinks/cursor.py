"""How far a sink has got, on disk. In: a path. Out: the number of the last entry that is done with.

Written to a temporary file, flushed and renamed: after a crash there is the old number or the new one. The old
one means that a batch is sent again: sinks are at-least-once.
"""

import json
import os
from pathlib import Path

CURSOR_VERSION = 1


MAX_SEQ = 1 << 48
"""No outbox comes near: a million entries a second make it in nine years."""


class CursorError(ValueError):
    """A cursor file that this version did not write: says what is wrong with it."""

    def __init__(self, path: Path, words: str) -> None:
        super().__init__(f"{path}: {words}")
        self.path = path


def read_cursor(path: Path) -> int:
    """Return the number in the file, 0 if there is no file; CursorError if it holds something else."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return 0
    except IsADirectoryError:
        raise CursorError(path, "a folder, and no file") from None
    except (ValueError, RecursionError) as error:
        raise CursorError(path, f"not JSON ({error})") from None
    seq = document.get("seq") if isinstance(document, dict) and document.get("v") == CURSOR_VERSION else None
    if type(seq) is not int or not 0 <= seq <= MAX_SEQ:
        raise CursorError(path, f'a cursor is {{"v": {CURSOR_VERSION}, "seq": <a whole number>}}')
    return seq


def put_aside(path: Path) -> Path:
    """Give a cursor that is none another name, so that somebody may look at it; return that."""
    aside = path.with_name(path.name + ".damaged")
    path.replace(aside)
    return aside


def write_cursor(path: Path, seq: int) -> None:
    """Replace the file's number, durably; OSError where the disk does not take it."""
    write_durably(path, json.dumps({"v": CURSOR_VERSION, "seq": seq}) + "\n")


def write_durably(path: Path, text: str) -> None:
    """Replace the file's text so that a crash leaves the old one or the new one, and nothing in between."""
    temporary = path.with_name(path.name + ".new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        data = memoryview(text.encode())
        while data:
            data = data[os.write(fd, data) :]
        os.fsync(fd)
    finally:
        os.close(fd)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # without it the rename itself may not survive a power cut
    finally:
        os.close(folder)
