"""Stops the whole sandbox between two invocations, as Lambda does and RIE does not.

In: the cgroup that the sandbox lives in, or the pid of its first process. Out: all of it frozen, or running.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from afterglow_layer.local import cgroups
from afterglow_layer.local.cgroups import FREEZE_LIMIT_S, FreezeError, Home

CHOICES = {
    "auto": [cgroups.V2, cgroups.V1],
    "cgroup-v2": [cgroups.V2],
    "cgroup-v1": [cgroups.V1],
    "sigstop": [],
    "none": [],
}
"""What ``--freezer`` takes → the kinds of cgroup to try; without one, signals do it."""


class Freezer(Protocol):
    """Holds a sandbox still. ``name`` is how the report calls it."""

    name: str

    def freeze(self) -> None:
        """Return when all of the sandbox stands still; FreezeError if it does not."""

    def thaw(self) -> None:
        """Let it run on."""


class CgroupFreezer:
    """The kernel's own: nothing in the sandbox can notice it but by the clock."""

    def __init__(self, group: Home) -> None:
        self.name = group.kind
        self._group = group

    def freeze(self) -> None:
        """Freeze the cgroup."""
        cgroups.freeze(self._group)

    def thaw(self) -> None:
        """Thaw the cgroup."""
        cgroups.thaw(self._group)


class StopFreezer:
    """SIGSTOP and SIGCONT for every descendant of the sandbox's first process, which itself only waits.

    A parent in there is told of both by SIGCHLD; a program that handles it may notice.
    """

    name = "SIGSTOP"

    def __init__(self, init_pid: int, proc: Path = Path("/proc")) -> None:
        self._init_pid = init_pid
        self._proc = proc

    def freeze(self) -> None:
        """Stop them, and those that they started meanwhile, until nobody new is left running."""
        give_up = time.monotonic() + FREEZE_LIMIT_S
        while time.monotonic() < give_up:
            running = [pid for pid, state in descendants(self._init_pid, self._proc).items() if state not in "TtZX"]
            if not running:
                return
            _signal_all(running, signal.SIGSTOP)
        self.thaw()
        raise FreezeError(f"SIGSTOP did not stop every process within {FREEZE_LIMIT_S:g} s")

    def thaw(self) -> None:
        """Continue them."""
        _signal_all(descendants(self._init_pid, self._proc), signal.SIGCONT)


class NoFreezer:
    """Leaves the sandbox running, as RIE alone would."""

    name = "none"

    def freeze(self) -> None:
        """Do nothing."""

    def thaw(self) -> None:
        """Do nothing."""


def choose(asked: str, group: Home | None, init_pid: int) -> Freezer:
    """Return the freezer for a sandbox that has come up in ``group``, or in none."""
    if asked == "none":
        return NoFreezer()
    return CgroupFreezer(group) if group else StopFreezer(init_pid)


def descendants(root_pid: int, proc: Path = Path("/proc")) -> dict[int, str]:
    """Return every descendant of ``root_pid`` with its state letter from /proc/PID/stat (proc(5))."""
    parents: dict[int, tuple[int, str]] = {}
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parents[int(entry.name)] = parse_stat((entry / "stat").read_text(errors="replace"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # The process left between listing and reading.
    family = {root_pid}
    grown = True
    while grown:
        children = {pid for pid, (parent, _) in parents.items() if parent in family}
        grown = not children <= family
        family |= children
    return {pid: parents[pid][1] for pid in family - {root_pid}}


def parse_stat(stat: str) -> tuple[int, str]:
    """Return the parent's pid and the state; the name before them may hold spaces and brackets."""
    state, parent = stat.rpartition(")")[2].split()[:2]
    return int(parent), state


def _signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # It left by itself.
            os.kill(pid, number)
