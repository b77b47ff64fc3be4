"""The inside of a sandbox: its namespaces, its first process, and RIE.

In: an Order. Out: status lines for the parent, on stdout; RIE running, with the function in it.
"""

import ctypes
import json
import os
import signal
from pathlib import Path
from typing import Any, NoReturn

from afterglow_layer.local import cgroups, entry, mounts, private_tmp, surroundings
from afterglow_layer.local.fence import Fence
from afterglow_layer.local.order import Order

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x10000000, 0x20000000
PR_SET_PDEATHSIG = 1
CANNOT_START = 127

PARENTS_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a stop, a closed terminal: the parent's to act on; its end is the keeper's cue."""

PYTHON_IGNORES = (signal.SIGPIPE, signal.SIGXFSZ)
"""What the interpreter ignores at its start; exec would hand that on to the function."""


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


def be_init(order: Order, groups: list[cgroups.Home], fence: Fence) -> NoReturn:
    """Be pid 1 of the sandbox: when it goes, the kernel kills the rest."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    status = CANNOT_START
    try:
        _unshare(CLONE_NEWNS)  # Its mounts go with us: the keeper would hold them, and could not remove the folder.
        words = _mount_all(order, fence)
        status = _run_rie(order, groups, fence, words)
    except OSError as error:
        tell("failed", reason=str(error))
    except Exception as error:  # noqa: BLE001 - this process's outer guard: without a word, nobody would know
        os.write(2, f"the sandbox could not be made: {error!r}\n".encode(errors="backslashreplace"))
    finally:
        os._exit(status)


def _mount_all(order: Order, fence: Fence) -> list[str]:
    """Mount what the function is to see; return how /tmp and the rest came to be, in words."""
    wishes = _wishes(order)
    refused = surroundings.begin(wishes)
    staging = Path(order.run_dir, "opt")
    staging.mkdir()
    mounts.mount_opt(
        Path(order.layer) if order.layer else None,
        staging,
        prepare=lambda opt: entry.lead_extensions_in(fence.doors, opt, mounts.OPT),
    )
    mounts.mount_proc()
    return [_mount_tmp(order, fence), *surroundings.finish(wishes, refused)]


def _mount_tmp(order: Order, fence: Fence) -> str:
    """Return how /tmp came to be, in words."""
    if order.keep_in_tmp is None:
        return private_tmp.THE_HOSTS
    return private_tmp.mount_tmp(Path(order.run_dir), order.keep_in_tmp, memory_limited=fence.memory is not None)


def _wishes(order: Order) -> surroundings.Wishes:
    return surroundings.Wishes(order.shm, order.files, order.as_managed, Path(order.directory), Path(order.run_dir))


def _run_rie(order: Order, groups: list[cgroups.Home], fence: Fence, words: list[str]) -> int:
    rie_pid = os.fork()
    if rie_pid == 0:
        _become_rie(order, groups, fence, words)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(rie_pid, signal.SIGTERM))
    while True:
        pid, status = os.waitpid(-1, 0)  # Orphans end up here, too.
        if pid == rie_pid:
            return os.waitstatus_to_exitcode(status) & 0xFF


def _become_rie(order: Order, groups: list[cgroups.Home], fence: Fence, words: list[str]) -> NoReturn:
    command = [*order.command, *entry.lead_in(_entry(order, fence), order.runtime)]
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        joined = _join_first(groups)
        os.chdir(order.start_in or order.directory)
        tell(
            "started",
            group=_told(joined),
            memory=_told(fence.memory),
            cpu=_told(fence.cpu),
            surroundings=words,
            problems=fence.problems,
        )
        os.dup2(order.log_fd, 1)
        os.closerange(3, 1024)
        for number in (*PARENTS_SIGNALS, *PYTHON_IGNORES):
            signal.signal(number, signal.SIG_DFL)
        if order.as_managed:
            surroundings.limit_process()
        os.execve(command[0], command, order.env)  # noqa: S606 - no shell is the point
    except OSError as error:
        os.write(2, f"{command[0]} cannot be run: {error}\n".encode())
    finally:
        os._exit(CANNOT_START)


def _entry(order: Order, fence: Fence) -> entry.Entry:
    unlimited = order.memory_mb is not None and fence.memory is None
    data_kb = order.memory_mb * 1024 if unlimited and order.memory_mb else None
    return entry.Entry(fence.doors, data_kb, order.directory if order.start_in else None)


def _told(home: cgroups.Home | None) -> dict[str, str] | None:
    return home and {"kind": home.kind, "path": str(home.path)}


def _join_first(groups: list[cgroups.Home]) -> cgroups.Home | None:
    for group in groups:
        try:
            cgroups.join(group)
        except OSError:
            continue  # Making a cgroup can be allowed where moving into it is not.
        return group
    return None
