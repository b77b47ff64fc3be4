"""What this process knows of itself at the return: memory, threads, files. In: the kernel. Out: fields of a fact.

The extension looks, too, and sees more. But an environment of few short invocations can be over before it gets to that
at a small share of a CPU; so the first invocations tell it themselves.
"""

from __future__ import annotations

import os
import resource
import sys

from afterglow_hook import current

INVOCATIONS = 32
"""That tell it: 12 µs each. By then the extension has had a CPU, or the function is too busy for anybody to care."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_UNTOLD: dict[str, int | None] = {"rss": None, "peak": None, "threads": None, "fds": None}


def own(highest_rss_kib: int) -> dict[str, int | None]:
    """Return the figures; ``highest_rss_kib`` is ru_maxrss of getrusage(2)."""
    if current.index > INVOCATIONS:
        return _UNTOLD
    return {
        "rss": _resident_bytes(),
        "peak": highest_rss_kib * 1024 or None,
        "threads": len(sys._current_frames()),
        "fds": _descriptors(),
    }


_children: tuple[float, float] = (0.0, 0.0)  # CPU of the children that have been waited for


def reaped_kib() -> int:
    """Return the highest RSS of any child if one has been waited for since the last call; else 0."""
    global _children
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    before, _children = _children, (usage[0], usage[1])
    return usage[2] if _children != before else 0


def _resident_bytes() -> int | None:
    """Return this process's RSS, from statm, proc_pid_statm(5)."""
    try:
        file = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return int(os.read(file, 128).split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return None
    finally:
        os.close(file)


def _descriptors() -> int | None:
    """Return how many descriptors are open; since Linux 6.2 one call tells (proc_pid_fd(5))."""
    folder = "/proc/self/fd"
    try:
        return os.stat(folder).st_size or len(os.listdir(folder)) - 1  # noqa: PTH116, PTH208 - no pathlib in here
    except OSError:
        return None
