"""Looks at the processes while the function works. In: the runtime's pid, a clock. Out: samples and peaks.

The rate adapts: quick after an event, slower while nothing changes, so that a long quiet invocation costs
next to nothing and a short one is still seen.
"""

import os
from typing import NamedTuple

from afterglow.proc import DEAD_STATES, ProcStat, read_all, read_fd_count, read_stat, tree_of

GROWTH = 1.4
CALM_SHARE = 0.03  # RSS that moves by less than this is calm
MANY_PROCESSES = 64  # past this a look costs over a millisecond: only the slowest rate is decent


class Look(NamedTuple):
    """The function's processes and our own, at one moment."""

    tree: list[ProcStat]
    agent: ProcStat | None
    fds: int | None

    @property
    def rss_bytes(self) -> int | None:
        """RSS of the function's processes; shared pages count in each."""
        return sum(stat.rss_bytes for stat in self.tree) if self.tree else None

    @property
    def cpu_ms(self) -> float | None:
        """CPU of the function's living processes since they started."""
        return sum(stat.user_ms + stat.system_ms for stat in self.tree) if self.tree else None


def next_interval_ms(interval_ms: float, before: int | None, now: int | None, first_ms: float, most_ms: float) -> float:
    """Return when to look next: sooner when memory moved, later when it is calm."""
    if before and now and abs(now - before) > before * CALM_SHARE:
        return max(first_ms, interval_ms / 2)
    return min(most_ms, interval_ms * GROWTH)


class Sampler:
    """Looks, and keeps what is highest since ``start``."""

    def __init__(self, first_ms: float, most_ms: float, proc: str = "/proc") -> None:
        self.first_ms = first_ms
        self.most_ms = most_ms
        self.proc = proc
        self.interval_ms = first_ms
        self.peak_rss_bytes: int | None = None
        self.peak_fds: int | None = None
        self.last: Look | None = None

    def start(self) -> None:
        """Begin anew: an invocation has begun, or its handler has returned."""
        self.interval_ms = self.first_ms
        self.peak_rss_bytes = self.peak_fds = None

    def look(self, runtime_pid: int | None) -> Look:
        """Read the processes now."""
        everyone = read_all(self.proc) if runtime_pid is not None else {}
        tree = tree_of(runtime_pid, everyone) if runtime_pid is not None else []
        if tree and tree[0].state in DEAD_STATES:
            runtime_pid, tree = None, []  # a zombie's memory reads as 0, which is not what it had
        agent = everyone.get(os.getpid()) or read_stat(os.getpid(), self.proc)
        fds = read_fd_count(runtime_pid, self.proc) if runtime_pid is not None else None
        look = Look(tree, agent, fds)
        self.peak_rss_bytes = _higher(self.peak_rss_bytes, look.rss_bytes)
        self.peak_fds = _higher(self.peak_fds, fds)
        most_ms = self.most_ms
        first_ms = most_ms if len(everyone) > MANY_PROCESSES else self.first_ms
        before = self.last.rss_bytes if self.last else None
        self.interval_ms = next_interval_ms(self.interval_ms, before, look.rss_bytes, first_ms, most_ms)
        self.last = look
        return look


def _higher(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)
