"""Looks at the processes while the function works. In: the runtime's pid, a clock. Out: samples and peaks.

The rate adapts: quick after an event, slower while nothing changes, so that a long quiet invocation costs
next to nothing and a short one is still seen.
"""

from typing import NamedTuple

from afterglow.census import Census
from afterglow.kept import KeptFile
from afterglow.proc import RESTART_PEAK, ProcStat, parse_peak_rss_bytes, read_fd_count, read_text, tells_fd_count

GROWTH = 1.4
CALM_SHARE = 0.03  # RSS that moves by less than this is calm
MANY_PROCESSES = 64  # a look that reads more costs over a millisecond: only the slowest rate is decent


class Look(NamedTuple):
    """The function's processes at one moment."""

    tree: list[ProcStat]
    rss_bytes: int | None  # of them all; shared pages count in each
    fds: int | None

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
        self.biggest_child: tuple[str, int] | None = None  # its command, and its RSS
        self._before_bytes: int | None = None
        self.high_water = HighWater(proc)
        self._census = Census(proc)
        self._fds_in_size: bool | None = None

    def start(self) -> None:
        """Begin anew: an invocation has begun, or its handler has returned."""
        self.interval_ms = self.first_ms
        self.peak_rss_bytes = self.peak_fds = self.biggest_child = None

    def look(self, runtime_pid: int | None) -> Look:
        """Read the processes now."""
        look = self._read(runtime_pid)
        self.peak_rss_bytes = _higher(self.peak_rss_bytes, look.rss_bytes)
        self.peak_fds = _higher(self.peak_fds, look.fds)
        if len(look.tree) > 1:
            self._look_at_children(look.tree[1:])
        most_ms = self.most_ms
        first_ms = most_ms if self._census.reads > MANY_PROCESSES else self.first_ms
        self.interval_ms = next_interval_ms(self.interval_ms, self._before_bytes, look.rss_bytes, first_ms, most_ms)
        self._before_bytes = look.rss_bytes
        return look

    def _look_at_children(self, children: list[ProcStat]) -> None:
        biggest = max(children, key=lambda stat: stat.rss_bytes)
        if self.biggest_child is None or biggest.rss_bytes > self.biggest_child[1]:
            command = (read_text(f"{self.proc}/{biggest.pid}/comm") or "a child").strip()
            self.biggest_child = command, biggest.rss_bytes

    def _read(self, runtime_pid: int | None) -> Look:
        tree = self._census.tree(runtime_pid) if runtime_pid is not None else []
        if runtime_pid is None or not tree or tree[0].pid != runtime_pid:
            return Look([], None, None)
        if self._fds_in_size is None:
            self._fds_in_size = tells_fd_count(self.proc)
        fds = read_fd_count(runtime_pid, self.proc, in_size=self._fds_in_size)
        # Of a process that is on its way out, no memory is left to be seen: that is nothing known, not 0.
        return Look(tree, sum([stat.rss_bytes for stat in tree]) or None, fds)


class HighWater:
    """The highest RSS of a process since ``restart``, as the kernel keeps it; the files of the latest one stay open."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._pid: int | None = None
        self._files: list[KeptFile] = []

    def read_bytes(self, pid: int) -> int | None:
        """Return VmHWM; None: it has ended, or may not be read."""
        return parse_peak_rss_bytes(self._of(pid)[0].read() or "")

    def restart(self, pid: int) -> bool:
        """Let it start anew from the present RSS. False: not allowed here."""
        return self._of(pid)[1].write(RESTART_PEAK)

    def _of(self, pid: int) -> list[KeptFile]:
        if pid != self._pid:
            for file in self._files:
                file.close()
            self._pid = pid
            self._files = [KeptFile(f"{self._proc}/{pid}/{name}") for name in ("status", "clear_refs")]
        return self._files


def _higher(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
