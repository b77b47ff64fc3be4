"""The process that owns the sandbox: it makes it and leaves nothing of it behind, whatever its parent's end.

In, on stdin: one line of JSON (Order), then "stop" lines, then the end of the file: the parent has what it
wants, or is dead. Out, on stdout, one line of JSON each: ``up``, ``started``, ``failed``, ``exited``. RIE
writes to ``order.log_fd`` and to the keeper's stderr.

    keeper (host pids) ── init (pid 1 of the sandbox: mounts, reaps) ── RIE ── extension, runtime

Runs under ``python -I -S``: standard library and its neighbours only.
"""

import ctypes
import errno
import json
import os
import select
import shutil
import signal
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from afterglow_layer.local import cgroups, mounts

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x10000000, 0x20000000
PR_SET_PDEATHSIG = 1
CANNOT_START = 127

PARENTS_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a stop, a closed terminal: the parent's to act on; its end is the keeper's cue."""

PYTHON_IGNORES = (signal.SIGPIPE, signal.SIGXFSZ)
"""What the interpreter ignores at its start; exec would hand that on to the function."""


class Order(NamedTuple):
    """What to run, and where."""

    command: list[str]
    env: dict[str, str]
    directory: str
    layer: str | None
    run_dir: str  # removed at the end
    log_fd: int
    freezers: list[str]  # kinds of cgroup to try


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


def tell(status: str, **facts: Any) -> None:
    """Write one line of status for the parent, which may have gone."""
    try:
        os.write(1, json.dumps({"status": status, **facts}).encode() + b"\n")
    except BrokenPipeError:
        return


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
        _be_init(order, groups)
    os.close(order.log_fd)  # Its reader sees the end when the sandbox is gone.
    return init_pid


def enter_namespaces() -> None:
    """Leave the host's mounts, and its pids as far as children go; through a user namespace where we must."""
    flags = CLONE_NEWNS | CLONE_NEWPID
    uid, gid = os.getuid(), os.getgid()
    try:
        _unshare(flags)
    except PermissionError:
        _unshare(flags | CLONE_NEWUSER)
        # Everyone stays who they are: the function shall see its own user, not a root that is none.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def _unshare(flags: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")


def _be_init(order: Order, groups: list[cgroups.Home]) -> NoReturn:
    """Be pid 1 of the sandbox: when it goes, the kernel kills the rest."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    status = CANNOT_START
    try:
        staging = Path(order.run_dir, "opt")
        staging.mkdir()
        mounts.mount_opt(Path(order.layer) if order.layer else None, staging)
        mounts.mount_proc()
        status = _run_rie(order, groups)
    except OSError as error:
        tell("failed", reason=str(error))
    finally:
        os._exit(status)


def _run_rie(order: Order, groups: list[cgroups.Home]) -> int:
    rie_pid = os.fork()
    if rie_pid == 0:
        _become_rie(order, groups)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(rie_pid, signal.SIGTERM))
    while True:
        pid, status = os.waitpid(-1, 0)  # Orphans end up here, too.
        if pid == rie_pid:
            return os.waitstatus_to_exitcode(status) & 0xFF


def _become_rie(order: Order, groups: list[cgroups.Home]) -> NoReturn:
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        joined = _join_first(groups)
        os.chdir(order.directory)
        tell("started", group=joined and {"kind": joined.kind, "path": str(joined.path)})
        os.dup2(order.log_fd, 1)
        os.closerange(3, 1024)
        for number in (*PARENTS_SIGNALS, *PYTHON_IGNORES):
            signal.signal(number, signal.SIG_DFL)
        os.execve(order.command[0], order.command, order.env)  # noqa: S606 - no shell is the point
    except OSError as error:
        os.write(2, f"{order.command[0]} cannot be run: {error}\n".encode())
    finally:
        os._exit(CANNOT_START)


def _join_first(groups: list[cgroups.Home]) -> cgroups.Home | None:
    for group in groups:
        try:
            cgroups.join(group)
        except OSError:
            continue  # Making a cgroup can be allowed where moving into it is not.
        return group
    return None


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
