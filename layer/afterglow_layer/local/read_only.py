"""Makes a sandbox's files read-only, as Lambda's are: all but /tmp, the run's own folder, the kernel's file systems.

In: the function's folder, and what is to stay writable. Out: mounts changed in the caller's own namespace; OSError
where the kernel refuses. The run's folder must be a mount before anything in it is opened to be written.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from afterglow_layer.local.mounts import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REC, MS_REMOUNT, mount

KERNELS_OWN = ("proc", "cgroup", "cgroup2")
"""Written by what leads a process into its limits (``entry``), and by the extension."""

FLAGS = {"nosuid": MS_NOSUID, "nodev": MS_NODEV, "noexec": MS_NOEXEC, "noatime": 1024, "nodiratime": 2048}
"""A mount's options → flags of mount(2): a remount must name those that a user namespace may not lift."""

ROOT = Path("/")
_OCTAL = re.compile(r"\\([0-7]{3})")


class Mounted(NamedTuple):
    """A line of /proc/PID/mountinfo (proc(5)), less what nobody needs here."""

    path: Path
    kind: str
    options: tuple[str, ...]


def make_read_only(directory: Path, writable: Sequence[Path]) -> None:
    """Make every mount read-only but those at ``writable``, and the function's folder, be it below one of them."""
    mounted = {each.path for each in read_mounts()}
    for path in writable:
        if path not in mounted:
            _make_mount(path)
    if directory not in mounted and set(writable) & set(directory.parents):
        _make_mount(directory)
    for each in read_mounts():
        if each.path in writable or each.kind in KERNELS_OWN:
            continue
        if each.path in (ROOT, directory):
            _remount(each)
            continue
        with suppress(OSError):  # Another mount hides it, or it is the kernel's and takes no orders.
            _remount(each)


def make_folder_read_only(directory: Path) -> None:
    """Make this folder read-only, by a mount of its own."""
    _make_mount(directory)
    _remount([each for each in read_mounts() if each.path == directory][-1])


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


def _remount(mounted: Mounted) -> None:
    kept = sum(FLAGS.get(option, 0) for option in mounted.options)
    mount("none", mounted.path, None, MS_REMOUNT | MS_BIND | MS_RDONLY | kept)
