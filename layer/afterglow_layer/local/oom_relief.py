"""Lets what the kernel has killed for memory die, whatever its CPU quota. In: the group that limits the memory.

A killed process that has used up its quota is throttled before it can end, and keeps its memory meanwhile; the
others of the group spin in the kernel for that memory, and use up the next period's quota, too. Seen for 20 s at
128 MB (Linux 6.18, cgroup v1). On Lambda the quota is the virtual machine's, and its kernel never waits for itself.
Sources: the kernel's admin-guide/cgroup-v1/memory.rst (oom_control), admin-guide/cgroup-v2.rst (memory.events).
"""

import threading
from collections.abc import Callable
from pathlib import Path

from afterglow_layer.local.cgroups import V2, Home

LOOK_S = 0.02
RELIEF_S = 0.5  # with all of the CPU, a process is gone within 0.05 s


class OomRelief:
    """One sandbox's. ``lift`` is called with True to have the quota lifted, and with False half a second later."""

    def __init__(self, memory: Home, lift: Callable[[bool], None]) -> None:
        self._file = kills_file(memory)
        self._seen = read_kills(self._file)
        self._lift = lift
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="oom relief", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(LOOK_S):
            kills = read_kills(self._file)
            if kills > self._seen:
                self._seen = kills
                self._lift(True)
                self._over.wait(RELIEF_S)
                self._lift(False)


def kills_file(memory: Home) -> Path:
    """Return the file that counts the group's kills."""
    return memory.path / ("memory.events" if memory.kind == V2 else "memory.oom_control")


def read_kills(file: Path) -> int:
    """Return how many of the group's processes were killed for memory; 0 where nobody says."""
    try:
        words = file.read_text().split()
    except OSError:  # the sandbox has ended, and the group with it
        return 0
    return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else 0
