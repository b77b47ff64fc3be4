"""The inside of a sandbox: its namespaces, its first process, and RIE.

In: an Order. Out: status lines for the parent, on stdout; RIE running, with the function in it.
"""

import ctypes
import json
import os
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


def tell(status: str, **facts: Any) -> None:
    """Write one line of status for the parent, which may have gone."""
    try:
        os.write(1, json.dumps({"status": status, **facts}).encode() + b"\n")
    except BrokenPipeError:
        return


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


def be_init(order: Order, groups: list[cgroups.Home]) -> NoReturn:
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
