"""Starved, or frozen while it was our turn? In: how long we waited for a CPU, /proc, cgroups. Out: what was starving.

The kernel counts as run delay all time from "may run" to "runs" (/proc/PID/schedstat): somebody else had the CPU,
or our cgroup had used its quota up, or a freeze came over us while we stood in the queue. The first two leave a
trace with whoever had the CPU, or withheld it (/proc/stat, cpu.stat); a freeze leaves none, as nobody ran.
"""

import os

from afterglow.proc import CLOCK_TICK_MS, read_text

UNSURE_NS = int(5e6 * CLOCK_TICK_MS)
"""/proc/stat counts in ticks of 10 ms, per CPU: with less than 5 of them between two figures, they do not differ."""

_IDLE = (3, 4)  # the columns idle and iowait of /proc/stat, proc(5)
_GUEST = 8  # guest and guest_nice are contained in user and nice


def starved_ns(run_delay_ns: int, withheld_ns: int | None) -> int:
    """Return how much of a run delay somebody has had the CPU for; all of it, where that cannot be known."""
    if withheld_ns is None or run_delay_ns - withheld_ns < UNSURE_NS:
        return run_delay_ns
    return withheld_ns


def read_withheld_ns(proc: str = "/proc", cgroups: str = "/sys/fs/cgroup") -> int | None:
    """Return how long, since boot, CPUs were taken by anybody or kept from our cgroups; None: it can't be known."""
    busy_ns = parse_busy_ns(read_text(f"{proc}/stat") or "")
    throttled_ns = _read_throttled_ns(read_text(f"{proc}/self/cgroup"), cgroups)
    return None if busy_ns is None or throttled_ns is None else busy_ns + throttled_ns


def parse_busy_ns(stat: str) -> int | None:
    """Return the time that all CPUs together were busy or stolen by the host, from /proc/stat's first line."""
    name, *columns = stat.partition("\n")[0].split()[: _GUEST + 1] or [""]
    if name != "cpu" or len(columns) < _GUEST or not all(map(str.isdigit, columns)):
        return None
    busy = sum(int(column) for at, column in enumerate(columns) if at not in _IDLE)
    return int(busy * CLOCK_TICK_MS * 1e6)


def _read_throttled_ns(own: str | None, cgroups: str) -> int | None:
    """Add up what each of our groups was throttled; None where one that may have a quota cannot be seen."""
    for line in (own or "").split("\n"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number and "cpu" in controllers.split(","):
            return _read_path(f"{cgroups}/cpu", path, "release_agent", is_root=True)
    for line in (own or "").split("\n"):
        if line.startswith("0::"):
            folder = cgroups if os.path.exists(f"{cgroups}/cgroup.controllers") else f"{cgroups}/unified"  # noqa: PTH110 - no pathlib in the sandbox
            return _read_path(folder, line[3:], "cgroup.events", is_root=False)
    return None


def _read_path(mount: str, path: str, mark: str, *, is_root: bool) -> int | None:
    """Walk up from our group; ``mark`` is a file that only the root has (``is_root``), or only the others.

    In a cgroup namespace "/" is not the root: what stands above it may throttle us, unseen.
    """
    if os.path.exists(f"{mount}/{mark}") is not is_root:  # noqa: PTH110 - as above
        return None
    total_ns = 0
    while path.strip("/"):
        throttled_ns = parse_throttled_ns(read_text(f"{mount}{path}/cpu.stat") or "")
        if throttled_ns is None:
            return None
        total_ns += throttled_ns
        path = path.rpartition("/")[0]
    return total_ns


def parse_throttled_ns(cpu_stat: str) -> int | None:
    """Return how long a group was throttled: throttled_time in ns (cgroup v1), throttled_usec (v2; 0 if no quota)."""
    values = dict(line.split(" ", 1) for line in cpu_stat.split("\n") if " " in line)
    if "throttled_time" in values:
        return int(values["throttled_time"]) if values["throttled_time"].isdigit() else None
    in_us = values.get("throttled_usec", "0" if "usage_usec" in values else "")
    return int(in_us) * 1000 if in_us.isdigit() else None
