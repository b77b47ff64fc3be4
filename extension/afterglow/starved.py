"""Starved, or frozen while it was our turn? In: how long we waited for a CPU, /proc, cgroups. Out: what was starving.

The kernel counts as run delay all time from "may run" to "runs" (/proc/PID/schedstat): somebody else had the CPU,
or our cgroup had used its quota up, or a freeze came over us while we stood in the queue. The first two leave a
trace with whoever had the CPU, or withheld it (/proc/stat, cpu.stat); a freeze leaves none, as nobody ran.
Linux 6.18 counts some of a process's throttled time in neither place, but still the periods that saw any of it.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

from afterglow.proc import CLOCK_TICK_MS, read_text

UNSURE_NS = int(5e6 * CLOCK_TICK_MS)
"""/proc/stat counts in ticks of 10 ms, per CPU: with less than 5 of them between two figures, they do not differ."""

_IDLE = (3, 4)  # the columns idle and iowait of /proc/stat, proc(5)
_GUEST = 8  # guest and guest_nice are contained in user and nice


class Starved(NamedTuple):
    """How long we may have waited for a CPU, from what is sure to what is possible."""

    least_ns: int
    most_ns: int


class Throttled(NamedTuple):
    """What a group's quota has held back: for how long, and in how many of its periods."""

    time_ns: int
    periods: int


def starved(run_delay_ns: int, throttled: Throttled, period_ns: int, busy_ns: int | None) -> Starved:
    """Weigh a run delay, what our groups' quotas held back, and what the CPUs did meanwhile.

    ``busy_ns`` None: not known, or not all groups could be seen; then all of the run delay is believed. Whether the
    throttled time is part of the run delay cannot be told; a period that saw some of it may have been all of it.
    """
    if busy_ns is not None and run_delay_ns - busy_ns - throttled.time_ns >= UNSURE_NS:
        run_delay_ns = busy_ns + throttled.time_ns
    most_ns = max(throttled.time_ns, throttled.periods * period_ns)
    return Starved(max(run_delay_ns, throttled.time_ns), run_delay_ns + most_ns)


class Groups(NamedTuple):
    """The cgroups that may throttle us; ``complete``: there is none above them that we cannot see."""

    files: tuple[str, ...]
    complete: bool


def find_groups(proc: str = "/proc", cgroups: str = "/sys/fs/cgroup") -> Groups:
    """Return the cpu.stat files from our own group up to the root; its own throttles nobody."""
    mount, path, is_v1 = _own_group(read_text(f"{proc}/self/cgroup") or "", cgroups)
    if path is None:
        return Groups((), complete=False)
    at_root = _has_root(mount, is_v1=is_v1)
    files = [] if at_root else [f"{mount}/cpu.stat"]
    while path.strip("/"):
        files.append(f"{mount}{path}/cpu.stat")
        path = path.rpartition("/")[0]
    readable = tuple(file for file in files if parse_throttled(read_text(file) or "") is not None)
    return Groups(readable, complete=at_root and len(readable) == len(files))


def _own_group(own: str, cgroups: str) -> tuple[str, str | None, bool]:
    """Return mount, path and whether it is cgroup v1, of the hierarchy that has the controller; cgroups(7)."""
    v2 = None
    for line in own.split("\n"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "cpu" in controllers.split(","):
            return f"{cgroups}/cpu", path, True
        v2 = path if number == "0" else v2
    return cgroups, v2, False


def _has_root(mount: str, *, is_v1: bool) -> bool:
    """Return whether the mount shows the root group: in a cgroup namespace, "/" is another one.

    On v1, only the root has release_agent; on v2, all others have cgroup.events.
    """
    names = _names(mount)
    return "release_agent" in names if is_v1 else "cgroup.controllers" in names and "cgroup.events" not in names


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - no pathlib in the sandbox
    except OSError:
        return []


def read_throttled(groups: Groups, read: Callable[[str], str | None] = read_text) -> Throttled:
    """Return what the quotas of all the groups have held back since they were made."""
    seen = [each for each in (parse_throttled(read(file) or "") for file in groups.files) if each is not None]
    return Throttled(sum(each.time_ns for each in seen), sum(each.periods for each in seen))


def parse_throttled(cpu_stat: str) -> Throttled | None:
    """Parse a cpu.stat: throttled_time is in ns (cgroup v1), throttled_usec in us (v2; missing without a quota)."""
    values = dict(line.split(" ", 1) for line in cpu_stat.split("\n") if " " in line)
    if not ("throttled_time" in values or "throttled_usec" in values):
        return Throttled(0, 0) if "usage_usec" in values else None
    try:
        time_ns = int(values["throttled_time"]) if "throttled_time" in values else int(values["throttled_usec"]) * 1000
        return Throttled(time_ns, int(values["nr_throttled"]))
    except (KeyError, ValueError):
        return None


def read_period_ns(groups: Groups) -> int:
    """Return the longest of the groups' periods; 0 where none has a quota."""
    return max((_read_period_us(file.rpartition("/")[0]) * 1000 for file in groups.files), default=0)


def _read_period_us(group: str) -> int:
    """``cpu.max`` is "$MAX $PERIOD" (cgroup v2), ``cpu.cfs_period_us`` a number (v1)."""
    words = (read_text(f"{group}/cpu.max") or read_text(f"{group}/cpu.cfs_period_us") or "").split()
    return int(words[-1]) if words and words[-1].isdigit() else 0


def read_busy_ns(proc: str = "/proc") -> int | None:
    """Return how long, since boot, all CPUs together were busy, or had from us by the host."""
    return parse_busy_ns(read_text(f"{proc}/stat") or "")


def parse_busy_ns(stat: str) -> int | None:
    """Parse /proc/stat's first line, which adds the CPUs up."""
    name, *columns = stat.partition("\n")[0].split()[: _GUEST + 1] or [""]
    if name != "cpu" or len(columns) < _GUEST or not all(map(str.isdigit, columns)):
        return None
    busy = sum(int(column) for at, column in enumerate(columns) if at not in _IDLE)
    return int(busy * CLOCK_TICK_MS * 1e6)
