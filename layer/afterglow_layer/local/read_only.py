"""Makes a sandbox's files read-only, as Lambda's are, and some of them writable again.

In: paths. Out: mounts changed in the caller's own namespace; OSError where the kernel refuses. One system call does it
for all mounts at once and asks no file system, of which one may hang (mount_setattr(2), Linux 5.12).
"""

import ctypes
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from afterglow_layer.local.mounts import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REC, MS_REMOUNT, mount

SYS_MOUNT_SETATTR = 442  # on every architecture: their numbers are the same from 424 on
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
MOUNT_ATTR_RDONLY = 1
MOUNT_ATTR = struct.Struct("@4Q")  # to set, to clear, propagation, user namespace

FLAGS = {"nosuid": MS_NOSUID, "nodev": MS_NODEV, "noexec": MS_NOEXEC, "noatime": 1024, "nodiratime": 2048}
"""A mount's options → flags of mount(2): a remount must name those that a user namespace may not lift."""

_OCTAL = re.compile(r"\\([0-7]{3})")


class Mounted(NamedTuple):
    """A line of /proc/PID/mountinfo (proc(5)), less what nobody needs here."""

    path: Path
    kind: str
    options: tuple[str, ...]


def seal() -> None:
    """Make every mount read-only, before anything is open to be written by way of one: that would be EBUSY."""
    _set_attributes(Path("/"), AT_RECURSIVE, to_set=MOUNT_ATTR_RDONLY)


def open_up(path: Path) -> None:
    """Make what is mounted at the path writable, but not what is mounted below; a folder becomes a mount for it."""
    if path not in {each.path for each in read_mounts()}:
        _make_mount(path)
    _set_attributes(path, 0, to_clear=MOUNT_ATTR_RDONLY)


def make_folder_read_only(directory: Path) -> None:
    """Make this folder read-only, by a mount of its own; any kernel can."""
    _make_mount(directory)
    options = [each for each in read_mounts() if each.path == directory][-1].options
    kept = sum(FLAGS.get(option, 0) for option in options)
    mount("none", directory, None, MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


def read_mounts(proc: Path = Path("/proc")) -> list[Mounted]:
    """Return what is mounted for the calling process, in order."""
    return list(parse_mountinfo(os.fsdecode((proc / "self/mountinfo").read_bytes())))


def parse_mountinfo(text: str) -> Iterator[Mounted]:
    """Return the mounts of a mountinfo; blanks and line ends in their paths stand there as octal numbers."""
    for line in text.rstrip("\n").split("\n"):  # and at nothing else that may stand in a path
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        path = _OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4])
        yield Mounted(Path(path), after.split(" ")[0], tuple(fields[5].split(",")))


def _make_mount(path: Path) -> None:
    mount(os.fspath(path), path, None, MS_BIND | MS_REC)


def _set_attributes(path: Path, flags: int, *, to_set: int = 0, to_clear: int = 0) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = MOUNT_ATTR.pack(to_set, to_clear, 0, 0)
    where, size = ctypes.c_char_p(os.fsencode(path)), ctypes.c_size_t(len(attributes))
    number = ctypes.c_long(SYS_MOUNT_SETATTR)
    if libc.syscall(number, ctypes.c_int(AT_FDCWD), where, ctypes.c_uint(flags), attributes, size):
        refused = ctypes.get_errno()
        raise OSError(refused, f"mount_setattr on {path}: {os.strerror(refused)}")
