"""Watches a sandbox's Init phases: lets them have the CPU, and ends one that takes longer than Lambda would wait.

In: the emulator's log, line by line: it says when an Init begins and ends. Out: the CPU limit lifted and put back;
the runtime killed at the limit. RIE itself knows no limit for Init but the function's timeout.

That Init runs at full speed whatever the memory size is known from measurements on Lambda, not from its
documentation. The limit of 10 s holds for the phase ``init``; an Init that Lambda tries again inside an invocation
(``phase: invoke``) has the function's time (Lambda developer guide, execution environment lifecycle).
"""

import os
import re
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from afterglow_layer.local import fence
from afterglow_layer.local.cgroups import Home
from afterglow_layer.local.freezer import descendants

_BEGINS = re.compile(r"INIT START\(type: [^,]*, phase: (\w+)\)")
_ENDS = re.compile(r"INIT RTDONE\(status: \w+")


class Ground(NamedTuple):
    """What there is to act on, once the sandbox is up."""

    init_pid: int
    cpu: Home | None  # the group that limits the CPU
    cores: float | None


class InitWatch:
    """One sandbox's. Lines come from the thread that reads the log."""

    def __init__(self, limit_s: float | None) -> None:
        """Watch; ``limit_s`` None: somebody else sees to the limit."""
        self.expired = 0  # how many Inits were ended
        self._limit_s = limit_s
        self._running = True  # Nothing of the function runs before its first Init.
        self._relieved = False
        self._timer: threading.Timer | None = None
        self._ground: Ground | None = None
        self._lock = threading.Lock()

    def stand_on(self, ground: Ground) -> None:
        """Begin to act; what the lines have said so far holds."""
        with self._lock:
            self._ground = ground
            self._set_cpu()

    def hear(self, line: str) -> None:
        """Take one line of the emulator's log."""
        begins = _BEGINS.search(line)
        with self._lock:
            if begins or _ENDS.search(line):
                self._running = begins is not None
                self._set_cpu()
                self._set_timer(due=begins is not None and begins[1] == "init")

    def relieve(self, relieved: bool) -> None:
        """Lift the CPU limit for another reason than an Init, or have it again."""
        with self._lock:
            self._relieved = relieved
            self._set_cpu()

    def close(self) -> None:
        """Kill nobody any more."""
        with self._lock:
            self._ground = None
            self._set_timer(due=False)

    def _set_cpu(self) -> None:
        if self._ground and self._ground.cpu:
            with suppress(OSError):  # The sandbox has ended, and the group with it.
                fence.limit_cpu(self._ground.cpu, None if self._running or self._relieved else self._ground.cores)

    def _set_timer(self, *, due: bool) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if due and self._limit_s is not None:
            self._timer = threading.Timer(self._limit_s, self._expire)
            self._timer.daemon = True
            self._timer.start()

    def _expire(self) -> None:
        with self._lock:
            if not self._ground or not self._running:
                return
            self.expired += 1
            for pid in runtime_pids(self._ground.init_pid):
                with suppress(ProcessLookupError):  # It has just ended by itself.
                    os.kill(pid, signal.SIGKILL)


def runtime_pids(init_pid: int, proc: Path = Path("/proc")) -> list[int]:
    """Return the function's processes: the platform hides variables that begin with ``_`` from extensions."""
    return [pid for pid in descendants(init_pid, proc) if _is_runtime(pid, init_pid, proc)]


def _is_runtime(pid: int, init_pid: int, proc: Path) -> bool:
    try:
        parent = int((proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        variables = (proc / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False  # It left, or is somebody else's.
    return parent != init_pid and any(variable.startswith(b"_HANDLER=") for variable in variables)
