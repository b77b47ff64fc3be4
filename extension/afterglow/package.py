"""What the function and its layers take on disk. In: a folder. Out: one Package, counted in small portions.

Counting asks the kernel for each file, 2 to 4 µs a piece: the caller says how long it may go on at a time, and
what is not done at the end of the environment is told as it stands. Other file systems mounted below the folder
are not counted.
"""

import os
import time
from collections.abc import Iterator

from afterglow.records import Package

MOST_ENTRIES = 100_000
MOST_CPU_MS = 500.0
NAMES_TOLD = 20
UNFINISHED = "the environment ended first"
_BETWEEN_CLOCKS = 64
_HOLDERS = ("", "python", "python/lib", "nodejs", "nodejs/node_modules")
"""Folders that hold packages, in a zip and in the layers of all managed runtimes."""


class Weighing:
    """One folder being counted."""

    def __init__(self, what: str, root: str) -> None:
        self.what = what
        self.root = root
        self.files = self.size_bytes = self.unreadable = 0
        self.sizes: dict[str, int] = {}
        self.done = False
        self.stopped: str | None = None
        self._cpu_ns = 0
        self._device = os.stat(root).st_dev  # noqa: PTH116 - no pathlib in the sandbox
        self._steps = self._walk()

    def advance(self, until_ns: int) -> bool:
        """Count on until that time on the monotonic clock; return whether that is all."""
        began_ns = time.thread_time_ns()
        while not self.done and time.monotonic_ns() < until_ns:
            self.done = next(self._steps, None) is None
            if self._cpu_ns + time.thread_time_ns() - began_ns > MOST_CPU_MS * 1e6:
                self.done, self.stopped = True, f"more than {MOST_CPU_MS:g} ms of CPU"
        self._cpu_ns += time.thread_time_ns() - began_ns
        return self.done

    def package(self, at_ms: int) -> Package:
        """Return what has been counted."""
        biggest = sorted(self.sizes.items(), key=lambda item: (-item[1], item[0]))[:NAMES_TOLD]
        return Package(
            at_ms=at_ms,
            what=self.what,
            root=self.root,
            files=self.files,
            size_bytes=self.size_bytes,
            unreadable=self.unreadable,
            stopped=self.stopped if self.done else UNFINISHED,
            names=[name for name, _ in biggest],
            sizes_bytes=[size for _, size in biggest],
        )

    def _walk(self) -> Iterator[int]:
        """Yield the number of entries seen, now and then."""
        entries = 0
        folders = [("", "")]  # (relative path, the package it belongs to)
        while folders:
            path, owner = folders.pop()
            try:
                found = os.scandir(f"{self.root}/{path}")
            except OSError:
                self.unreadable += 1
                continue
            with found:
                for entry in found:
                    entries += 1
                    inside = f"{path}/{entry.name}" if path else entry.name
                    whose = owner or package_name(entry.name)
                    if self._weigh(entry, whose):
                        folders.append((inside, "" if is_holder(inside) else whose))
                    if entries >= MOST_ENTRIES:
                        self.stopped = f"more than {MOST_ENTRIES} entries"
                        yield entries
                        return
                    if not entries % _BETWEEN_CLOCKS:
                        yield entries

    def _weigh(self, entry: "os.DirEntry[str]", whose: str) -> bool:
        """Count a file; return whether the entry is a folder to look into."""
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:  # it left between listing and asking
            return False
        if entry.is_dir(follow_symlinks=False):
            return status.st_dev == self._device
        self.files += 1
        self.size_bytes += status.st_size
        self.sizes[whose] = self.sizes.get(whose, 0) + status.st_size
        return False


def is_holder(path: str) -> bool:
    """Return whether a folder holds packages rather than being one."""
    if path in _HOLDERS:
        return True
    head, _, tail = path.partition("python/lib/")
    return not head and tail.startswith("python3.") and tail.partition("/")[2] in ("", "site-packages")


def package_name(name: str) -> str:
    """Return the package that an entry beside packages belongs to: ``numpy.libs`` and ``numpy-2.1.dist-info`` too."""
    if name.endswith((".dist-info", ".egg-info")):
        return name.partition("-")[0]
    return name.removesuffix(".libs").removesuffix(".py")
