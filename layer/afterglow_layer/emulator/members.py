"""Looks through /proc: who belongs to the sandbox, how much memory they took; and signals to all of them.

In: the /proc root, the sessions that the emulator started, and the Runtime API's address, which every
descendant inherits in its environment: so a daemon that forked twice and left its session is found as well.
Out: pids, bytes.
"""

import os
import signal
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Stat(NamedTuple):
    """What is needed of /proc/PID/stat."""

    state: str
    ppid: int
    session: int


def parse_stat(text: str) -> Stat:
    """Return the fields behind the program's name, which may itself hold spaces and brackets (proc(5))."""
    fields = text.rpartition(")")[2].split()
    return Stat(fields[0], int(fields[1]), int(fields[3]))


def parse_peak_rss_bytes(status: str) -> int:
    """Return VmHWM in bytes; 0 for a kernel thread or a zombie, which have no memory."""
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def find_members(sessions: Collection[int], runtime_api: str, proc: Path = PROC) -> set[int]:
    """Return the living processes of the sandbox: by session, by inherited environment, by parent."""
    marker = f"AWS_LAMBDA_RUNTIME_API={runtime_api}".encode()
    stats = {pid: stat for pid in _pids(proc) if (stat := _read_stat(pid, proc)) and stat.state not in "ZX"}
    found = {pid for pid, stat in stats.items() if stat.session in sessions or marker in _read_environ(pid, proc)}
    found.discard(os.getpid())  # The emulator itself may have been started with such a variable.
    while more := {pid for pid, stat in stats.items() if stat.ppid in found} - found:
        found |= more
    return found


def living(pids: Iterable[int], proc: Path = PROC) -> set[int]:
    """Return those of ``pids`` that have not ended."""
    return {pid for pid in pids if (stat := _read_stat(pid, proc)) and stat.state not in "ZX"}


def stop_all(sessions: Collection[int], runtime_api: str, proc: Path = PROC) -> set[int]:
    """Stop every member, look again until nobody new has been forked meanwhile, and return who was stopped."""
    stopped: set[int] = set()
    while fresh := find_members(sessions, runtime_api, proc) - stopped:
        signal_all(fresh, signal.SIGSTOP)
        stopped |= fresh
    return stopped


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each that is still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def sum_peak_rss_bytes(pids: Iterable[int], proc: Path = PROC) -> int | None:
    """Return the sum of the processes' peak resident sizes; None when not one could be read.

    Shared pages count once per process and the peaks may lie apart, so this is no less than the truth.
    """
    peaks = [parse_peak_rss_bytes(text) for pid in pids if (text := _read_text(proc / str(pid) / "status"))]
    return sum(peaks) if peaks else None


def _pids(proc: Path) -> list[int]:
    return [int(entry) for entry in os.listdir(proc) if entry.isdigit()]  # noqa: PTH208 - names, not paths


def _read_stat(pid: int, proc: Path) -> Stat | None:
    text = _read_text(proc / str(pid) / "stat")
    return parse_stat(text) if text else None


def _read_environ(pid: int, proc: Path) -> list[bytes]:
    try:
        return (proc / str(pid) / "environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []  # It has gone, or is none of ours.


def _read_text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""  # The process left between listing and reading.
