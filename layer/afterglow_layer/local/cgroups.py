"""Cgroups: where this process may make one, and how to enter, freeze, thaw and remove it. Limits: ``fence``.

In: /proc/self/mountinfo and /proc/self/cgroup. Out: folders of the cgroup file system.
Sources: cgroups(7), the kernel's admin-guide/cgroup-v2.rst and cgroup-v1/freezer-subsystem.rst.
"""

import os
import time
from pathlib import Path
from typing import NamedTuple

V1, V2 = "cgroup v1", "cgroup v2"
KINDS = (V2, V1)  # v2 first: a frozen process there can still be killed.
FREEZER = "freezer"

PLATFORM, FUNCTION = "platform", "function"
"""Below a v2 group that hands out controllers: it may hold no process itself (cgroups(7), "no internal processes")."""

FREEZE_LIMIT_S = 2.0
RETRY_S = 0.005
LOOK_S = 0.0002


class Home(NamedTuple):
    """The folder of the cgroup that this process is in: a child is made in here."""

    kind: str
    path: Path


class FreezeError(Exception):
    """The kernel did not freeze the sandbox in time."""


def homes(mountinfo: str, own: str, controller: str = FREEZER) -> list[Home]:
    """Return this process's cgroups that may know the controller, best first, from the two files' text."""
    own_paths = _own_paths(own, controller)
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        root, mount_point = before.split()[3:5]
        kind = _kind_of(after.split(), controller)
        if kind in own_paths:
            found.append(Home(kind, Path(mount_point) / os.path.relpath(own_paths[kind], root)))
    return sorted(found, key=lambda home: KINDS.index(home.kind))


def _own_paths(own: str, controller: str) -> dict[str, str]:
    paths = {}
    for line in own.splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            paths[V2] = path
        elif controller in controllers.split(","):
            paths[V1] = path
    return paths


def _kind_of(file_system: list[str], controller: str) -> str:
    if file_system[0] == "cgroup2":
        return V2
    return V1 if file_system[0] == "cgroup" and controller in file_system[2].split(",") else ""


def read_homes(controller: str = FREEZER, proc: Path = Path("/proc")) -> list[Home]:
    """Return homes() of this process."""
    try:
        return homes((proc / "self/mountinfo").read_text(), (proc / "self/cgroup").read_text(), controller)
    except OSError:
        return []


def make(home: Home, name: str) -> Home | None:
    """Make a cgroup below ``home``; None where that is not allowed or it cannot freeze."""
    path = home.path / name
    try:
        path.mkdir()
    except OSError:
        return None
    group = Home(home.kind, path)
    if can_freeze(group):
        return group
    remove(group)
    return None


def can_freeze(group: Home) -> bool:
    """Tell whether the group has the file that freezes it."""
    return (group.path / _state_file(group.kind)).exists()


def join(group: Home) -> None:
    """Move the calling process into the group; 0 is "myself" in every pid namespace."""
    platform = group.path / PLATFORM
    ((platform if platform.is_dir() else group.path) / "cgroup.procs").write_text("0")


def freeze(group: Home) -> None:
    """Freeze all of the group, and return when it is so."""
    give_up = time.monotonic() + FREEZE_LIMIT_S
    while time.monotonic() < give_up:
        # v1 can hang in FREEZING until the state is written again (as runc does).
        _write_state(group, frozen=True)
        again = time.monotonic() + RETRY_S
        while time.monotonic() < again:
            if is_frozen(group):
                return
            time.sleep(LOOK_S)
    thaw(group)
    raise FreezeError(f"{group.kind} did not freeze within {FREEZE_LIMIT_S:g} s")


def thaw(group: Home) -> None:
    """Let the group run on."""
    _write_state(group, frozen=False)


def is_frozen(group: Home) -> bool:
    """Tell whether every process of the group has come to a stop."""
    if group.kind == V2:
        return "frozen 1" in (group.path / "cgroup.events").read_text()
    return (group.path / "freezer.state").read_text().strip() == "FROZEN"


def remove(group: Home, limit_s: float = 1.0) -> None:
    """Remove the group once its last process has gone; the kernel may take a moment to see that."""
    give_up = time.monotonic() + limit_s
    for part in (PLATFORM, FUNCTION):
        if (group.path / part).is_dir():
            remove(Home(group.kind, group.path / part), limit_s)
    while group.path.exists() and not _try_rmdir(group.path):
        if time.monotonic() > give_up:
            raise OSError(f"{group.path} still has processes in it")
        time.sleep(0.002)


def _try_rmdir(path: Path) -> bool:
    try:
        path.rmdir()
    except OSError:
        return False
    return True


def _state_file(kind: str) -> str:
    return "cgroup.freeze" if kind == V2 else "freezer.state"


def _write_state(group: Home, *, frozen: bool) -> None:
    words = {V2: ("0", "1"), V1: ("THAWED", "FROZEN")}[group.kind]
    (group.path / _state_file(group.kind)).write_text(words[frozen])
