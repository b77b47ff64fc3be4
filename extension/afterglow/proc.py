"""Readers of /proc, in the cheap way that a sampler needs: one read per fact, no objects kept.

In: a pid and the root of proc (an argument, so that tests use fixture trees). Out: plain records, or None
where the process is gone or the file is unreadable or malformed. Formats: proc_pid_stat(5) and its neighbours.
psutil would give the same for 10 to 20 times the CPU (bench/RESULTS.md).
"""

import os
from typing import NamedTuple

CLOCK_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
DEAD_STATES = frozenset("ZXx")
RESTART_PEAK = b"5"
"""To clear_refs, proc_pid_clear_refs(5): VmHWM starts anew from the present RSS."""


class ProcStat(NamedTuple):
    """What /proc/PID/stat says. Times since the process started, in clock ticks of 10 ms."""

    pid: int
    state: str
    ppid: int
    user_ms: float
    system_ms: float
    threads: int
    start_ms: float  # after boot
    rss_bytes: int


def parse_stat(text: str) -> ProcStat | None:
    """Parse one line of /proc/PID/stat; the command may itself hold spaces and brackets."""
    opening, closing = text.find("("), text.rfind(")")
    fields = text[closing + 2 :].split()
    if opening < 0 or closing < opening or len(fields) < 22:
        return None
    try:
        return ProcStat(
            pid=int(text[:opening]),
            state=fields[0],
            ppid=int(fields[1]),
            user_ms=int(fields[11]) * CLOCK_TICK_MS,
            system_ms=int(fields[12]) * CLOCK_TICK_MS,
            threads=int(fields[17]),
            start_ms=int(fields[19]) * CLOCK_TICK_MS,
            rss_bytes=int(fields[21]) * PAGE_BYTES,
        )
    except ValueError:
        return None


def parse_kib_field(text: str, name: str) -> int | None:
    """Return the bytes of a line such as ``VmHWM:   1234 kB``."""
    at = text.find(name + ":")
    if at < 0:
        return None
    words = text[at + len(name) + 1 :].split(None, 2)
    return int(words[0]) * 1024 if words and words[0].isdigit() else None


def read_text(path: str) -> str | None:
    """Return a small file's text. None: gone, forbidden, or not text; never an exception for those."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # the process left between listing and reading, or is somebody else's
        return None
    try:
        return os.read(fd, 65_536).decode("ascii", "replace")
    except OSError:  # ESRCH: it left between opening and reading
        return None
    finally:
        os.close(fd)


def read_stat(pid: int, proc: str = "/proc") -> ProcStat | None:
    """Return the process's state, CPU, threads and RSS."""
    text = read_text(f"{proc}/{pid}/stat")
    return parse_stat(text) if text else None


def list_pids(proc: str = "/proc") -> list[int]:
    """Return every process's pid; the sandbox has a handful."""
    try:
        return [int(name) for name in os.listdir(proc) if name.isdigit()]  # noqa: PTH208 - pathlib is not imported in the sandbox
    except OSError:
        return []


def read_all(proc: str = "/proc") -> dict[int, ProcStat]:
    """Return every readable process."""
    stats = (read_stat(pid, proc) for pid in list_pids(proc))
    return {stat.pid: stat for stat in stats if stat is not None}


def parse_newest_pid(loadavg: str) -> int | None:
    """Return the pid that was given out last, to a process or a thread, proc_loadavg(5). 0, gVisor's, is none."""
    words = loadavg.split()
    return int(words[4]) or None if len(words) == 5 and words[4].isdigit() else None


def tree_of(root: int, everyone: dict[int, ProcStat]) -> list[ProcStat]:
    """Return the living processes of the tree under ``root``, the root first; empty when it is gone."""
    return living(descent_of(root, everyone))


def living(stats: list[ProcStat]) -> list[ProcStat]:
    """Return those that are not dead; a zombie's memory reads as 0, which is not what it had."""
    return [stat for stat in stats if stat.state not in DEAD_STATES]


def descent_of(root: int, everyone: dict[int, ProcStat]) -> list[ProcStat]:
    """Return the tree under ``root``, the dead among it: a process whose first thread has ended can live on."""
    if len(everyone) == 1 and root in everyone:
        return [everyone[root]]
    children: dict[int, list[ProcStat]] = {}
    for stat in everyone.values():
        children.setdefault(stat.ppid, []).append(stat)
    tree = [everyone[root]] if root in everyone else []
    for stat in tree:  # grows while it is walked: breadth first
        tree += [child for child in children.get(stat.pid, []) if child.pid != root]
    return tree


def parse_peak_rss_bytes(status: str) -> int | None:
    """Return VmHWM of a /proc/PID/status."""
    return parse_kib_field(status, "VmHWM")


def parse_rss_bytes(statm: str) -> int | None:
    """Return the RSS of a /proc/PID/statm."""
    words = statm.split(None, 2)
    return int(words[1]) * PAGE_BYTES if len(words) > 1 and words[1].isdigit() else None


def read_fd_count(pid: int, proc: str = "/proc", *, in_size: bool = False) -> int | None:
    """Return how many file descriptors the process has open; ``in_size``: as ``tells_fd_count`` has found."""
    folder = f"{proc}/{pid}/fd"
    try:
        return os.stat(folder).st_size if in_size else len(os.listdir(folder))  # noqa: PTH116, PTH208 - as above
    except OSError:
        return None


def tells_fd_count(proc: str = "/proc") -> bool:
    """Return whether the size of /proc/PID/fd is the number of descriptors: since Linux 6.2; a tenth of a listing."""
    try:
        return os.stat(f"{proc}/self").st_size == 0 < os.stat(f"{proc}/self/fd").st_size  # noqa: PTH116 - as above
    except OSError:
        return False


def read_run_delay_ms(proc: str = "/proc") -> float | None:
    """Return how long this process has waited for a CPU in all."""
    run_delay_ns = parse_run_delay_ns(read_text(f"{proc}/self/schedstat") or "")
    return None if run_delay_ns is None else run_delay_ns / 1e6


def parse_run_delay_ns(schedstat: str) -> int | None:
    """Return the second number of a schedstat, sched-stats.rst."""
    words = schedstat.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


def read_oom_kills(proc: str = "/proc", cgroups: str = "/sys/fs/cgroup") -> int | None:
    """Return how many processes the kernel has killed for memory: in our own cgroup, else on this machine.

    cgroup v2: memory.events; v1: memory.oom_control; a Lambda environment is a machine of its own: vmstat.
    """
    for line in (read_text(f"{proc}/self/cgroup") or "").split("\n"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for folder, name in _memory_files(number, controllers):
            kills = _parse_count(read_text(f"{cgroups}{folder}{path}/{name}"), "oom_kill")
            if kills is not None:
                return kills
    return _parse_count(read_text(f"{proc}/vmstat"), "oom_kill")


def _memory_files(number: str, controllers: str) -> list[tuple[str, str]]:
    if "memory" in controllers.split(","):
        return [("/memory", "memory.oom_control")]
    return [("", "memory.events"), ("/unified", "memory.events")] if number == "0" else []


def _parse_count(text: str | None, name: str) -> int | None:
    for line in (text or "").split("\n"):
        words = line.split()
        if len(words) == 2 and words[0] == name and words[1].isdigit():
            return int(words[1])
    return None


def read_tmp_used_bytes(path: str = "/tmp") -> int | None:  # noqa: S108 - Lambda's ephemeral storage has this name
    """Return what is used of the file system that holds /tmp."""
    try:
        stat = os.statvfs(path)
    except OSError:
        return None
    return (stat.f_blocks - stat.f_bfree) * stat.f_frsize
