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
from pathlib import Path
from typing import NamedTuple

from afterglow_layer.local import cgroups, fence, stale
from afterglow_layer.local.allotment import Allotment
from afterglow_layer.local.cgroups import Home
from afterglow_layer.local.inside import PARENTS_SIGNALS, be_init, enter_namespaces, tell
from afterglow_layer.local.order import Order


def main() -> None:
    """Make the sandbox, watch it, clean up."""
    for number in PARENTS_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    line = _read_line(0)
    if not line:
        return
    order = Order(**json.loads(line))
    stale.sign(Path(order.run_dir))
    _sweep(order)
    grounds = _make_groups(order)
    try:
        init_pid = _start(order, grounds)
        if init_pid:
            _watch(init_pid, grounds.freezers)
    finally:
        shutil.rmtree(order.run_dir, ignore_errors=True)
        for group in grounds.all:
            cgroups.remove(group)


class _Grounds(NamedTuple):
    """The sandbox's cgroups: to freeze it, in the order in which to try them; to limit it; all of them."""

    freezers: list[Home]
    fence: fence.Fence
    all: list[Home]


def _sweep(order: Order) -> None:
    homes = {home for name in (cgroups.FREEZER, fence.MEMORY, fence.CPU) for home in cgroups.read_homes(name)}
    stale.sweep_groups(homes | {fence.generous(home) for home in homes})
    stale.sweep_folders(Path(order.run_dir))


def _read_line(fd: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        chunk = os.read(fd, 65536)
        if not chunk:
            return b""
        line += chunk
    return line


def _make_groups(order: Order) -> _Grounds:
    """Make them: one group in v2 for all, one for each controller in v1."""
    name = stale.name_of(os.getpid())
    allotment = Allotment(order.memory_mb, order.cpu_cores)
    limited = allotment != Allotment()
    kinds = {*order.freezers, cgroups.V2} if limited else {*order.freezers}
    homes = [home for home in cgroups.read_homes() if home.kind in kinds]
    made = [group for group in (_make_group(home, name, limited=limited) for home in homes) if group]
    v2 = next((group for group in made if group.kind == cgroups.V2), None)
    built = fence.build(allotment, name, v2, cgroups.read_homes)
    return _Grounds([group for group in made if group.kind in order.freezers], built, [*made, *built.made])


def _make_group(home: Home, name: str, *, limited: bool) -> Home | None:
    """Return a group that can have limits, if that is wanted; else one that at least can freeze."""
    best = cgroups.make(fence.generous(home), name) if limited else None
    return best or cgroups.make(home, name)


def _start(order: Order, grounds: _Grounds) -> int | None:
    """Fork the sandbox's first process; return its pid, or None after having told why not."""
    try:
        enter_namespaces()
    except OSError as error:
        tell("failed", reason=str(error))
        return None
    init_pid = os.fork()
    if init_pid == 0:
        be_init(order, grounds.freezers, grounds.fence)
    os.close(order.log_fd)  # Its reader sees the end when the sandbox is gone.
    return init_pid


def _watch(init_pid: int, groups: list[Home]) -> None:
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


def _end(init_pid: int, groups: list[Home]) -> None:
    for group in groups:
        cgroups.thaw(group)  # In cgroup v1 a frozen process does not even die.
    os.kill(init_pid, signal.SIGKILL)
    try:
        os.waitpid(init_pid, 0)  # Returns when the whole pid namespace is gone (pid_namespaces(7)).
    except OSError as error:
        if error.errno != errno.ECHILD:
            raise
