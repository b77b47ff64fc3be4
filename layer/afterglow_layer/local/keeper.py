"""The process that owns the sandbox: it makes it and leaves nothing of it behind, whatever its parent's end.

In, on stdin: one line of JSON (Order), then "stop" lines, then the end of the file: the parent has what it
wants, or is dead. Out, on stdout, one line of JSON each: ``up``, ``started``, ``failed``, ``exited``. RIE
writes to ``order.log_fd`` and to the keeper's stderr.

    keeper (host pids) ── init (pid 1 of the sandbox: mounts, reaps) ── RIE ── extension, runtime

Runs under ``python -I -S``: standard library and its neighbours only.
"""

import errno
import json
import os
import select
import shutil
import signal

from afterglow_layer.local import cgroups
from afterglow_layer.local.inside import PARENTS_SIGNALS, Order, be_init, enter_namespaces, tell


def main() -> None:
    """Make the sandbox, watch it, clean up."""
    for number in PARENTS_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    line = _read_line(0)
    if not line:
        return
    order = Order(**json.loads(line))
    groups = _make_groups(order.freezers)
    try:
        init_pid = _start(order, groups)
        if init_pid:
            _watch(init_pid, groups)
    finally:
        shutil.rmtree(order.run_dir, ignore_errors=True)
        for group in groups:
            cgroups.remove(group)


def _read_line(fd: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(fd, 65536)
        if not chunk:
            return b""
        line += chunk
    return line


def _make_groups(kinds: list[str]) -> list[cgroups.Home]:
    homes = [home for home in cgroups.read_homes() if home.kind in kinds]
    made = [cgroups.make(home, f"afterglow-{os.getpid()}") for home in homes]
    return [group for group in made if group]


def _start(order: Order, groups: list[cgroups.Home]) -> int | None:
    """Fork the sandbox's first process; return its pid, or None after having told why not."""
    try:
        enter_namespaces()
    except OSError as error:
        tell("failed", reason=str(error))
        return None
    init_pid = os.fork()
    if init_pid == 0:
        be_init(order, groups)
    os.close(order.log_fd)  # Its reader sees the end when the sandbox is gone.
    return init_pid


def _watch(init_pid: int, groups: list[cgroups.Home]) -> None:
    """Pass on the parent's wishes until it has none left, then end the sandbox."""
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write)
    tell("up", init_pid=init_pid)
    alive = not _reaped(init_pid)
    poller = select.poll()
    poller.register(0, select.POLLIN)
    poller.register(wake_read, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poller.poll()}
        if wake_read in ready:
            os.read(wake_read, 4096)
            alive = alive and not _reaped(init_pid)
        if 0 in ready:
            if not os.read(0, 4096):
                break
            if alive:
                os.kill(init_pid, signal.SIGTERM)
    if alive:
        _end(init_pid, groups)


def _reaped(init_pid: int) -> bool:
    pid, status = os.waitpid(init_pid, os.WNOHANG)
    if pid:
        tell("exited", code=os.waitstatus_to_exitcode(status))
    return bool(pid)


def _end(init_pid: int, groups: list[cgroups.Home]) -> None:
    for group in groups:
        cgroups.thaw(group)  # In cgroup v1 a frozen process does not even die.
    os.kill(init_pid, signal.SIGKILL)
    try:
        os.waitpid(init_pid, 0)  # Returns when the whole pid namespace is gone (pid_namespaces(7)).
    except OSError as error:
        if error.errno != errno.ECHILD:
            raise
