"""Holds a function to its memory and CPU, by cgroups where the kernel lets us make them.

In: an Allotment. Out: a Fence: groups with their limits set, for ``entry`` to lead the function's processes and the
extensions into, and words on what could not be had. RIE stays outside: on Lambda, too, it is not the function's
memory. Sources: the kernel's admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, scheduler/sched-bwc.rst.
"""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from afterglow_layer.local.allotment import MB, PERIOD_US, Allotment, quota_us
from afterglow_layer.local.cgroups import FUNCTION, PLATFORM, V1, V2, Home

MEMORY, CPU = "memory", "cpu"
NO_CONTROLLER = "no cgroup with the {} controller is open to us"


class Fence(NamedTuple):
    """What was set up. ``memory`` and ``cpu``: the groups that limit them; None: nothing does."""

    memory: Home | None
    cpu: Home | None
    made: tuple[Home, ...]  # to be removed at the end
    problems: dict[str, str]  # controller → why it limits nothing

    @property
    def doors(self) -> list[str]:
        """The files that a process writes itself into to be held by the limits."""
        return sorted({str(home.path / "cgroup.procs") for home in (self.memory, self.cpu) if home})


OPEN = Fence(None, None, (), {})


def generous(home: Home) -> Home:
    """Return the nearest v2 group, from ``home`` up, that hands memory or CPU limits to its children."""
    path = home.path
    while home.kind == V2 and (path / "cgroup.subtree_control").exists():
        if {MEMORY, CPU} & _words(path / "cgroup.subtree_control"):
            return Home(V2, path)
        path = path.parent
    return home


def build(allotment: Allotment, name: str, v2: Home | None, find: Callable[[str], list[Home]]) -> Fence:
    """Make the groups and set the limits; ``v2`` is our own group there, ``find`` returns a controller's homes."""
    wanted = {MEMORY: allotment.memory_mb, CPU: allotment.cpu_cores}
    fence = OPEN
    for controller in (name_ for name_, amount in wanted.items() if amount is not None):
        fence = _with(fence, controller, allotment, _places(controller, name, v2, find))
    return fence


def _with(fence: Fence, controller: str, allotment: Allotment, places: list[Home]) -> Fence:
    problem = NO_CONTROLLER.format(controller)
    for place in places:
        try:
            if place.kind == V1:
                place.path.mkdir()
                fence = fence._replace(made=(*fence.made, place))
            _set_limit(place, controller, allotment)
            _try_door(place.path / "cgroup.procs")
        except OSError as error:
            problem = f"{error.filename or place.path}: {error.strerror}"
            continue
        return fence._replace(memory=place) if controller == MEMORY else fence._replace(cpu=place)
    return fence._replace(problems={**fence.problems, controller: problem})


def _places(controller: str, name: str, v2: Home | None, find: Callable[[str], list[Home]]) -> list[Home]:
    """Return the groups to try: ours in v2 if it is given the controller, then a new one in v1."""
    below = _open_below(v2, controller) if v2 else []
    return below + [Home(V1, home.path / name) for home in find(controller) if home.kind == V1]


def _open_below(group: Home, controller: str) -> list[Home]:
    """Hand the controller down from ``group``, which then holds two groups and no process (cgroups(7))."""
    if controller not in _words(group.path / "cgroup.controllers"):
        return []
    try:
        for part in (PLATFORM, FUNCTION):
            (group.path / part).mkdir(exist_ok=True)
        (group.path / "cgroup.subtree_control").write_text(f"+{controller}")
    except OSError:
        return []
    return [Home(V2, group.path / FUNCTION)]


def _set_limit(home: Home, controller: str, allotment: Allotment) -> None:
    if controller == MEMORY and allotment.memory_mb is not None:
        _limit_memory(home, allotment.memory_mb * MB)
    if controller == CPU:
        limit_cpu(home, None)  # Init runs free; ``init_watch`` says when it is over.


def _limit_memory(home: Home, limit_bytes: int) -> None:
    if home.kind == V2:
        (home.path / "memory.max").write_text(str(limit_bytes))
        _write_if_there(home.path / "memory.swap.max", 0)
        return
    (home.path / "memory.limit_in_bytes").write_text(str(limit_bytes))
    _write_if_there(home.path / "memory.memsw.limit_in_bytes", limit_bytes)  # Memory and swap together.


def limit_cpu(home: Home, cores: float | None) -> None:
    """Let the group run for its share of each period, or, for None, as it likes."""
    if home.kind == V2:
        quota = "max" if cores is None else str(quota_us(cores))
        (home.path / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        return
    (home.path / "cpu.cfs_period_us").write_text(str(PERIOD_US))
    (home.path / "cpu.cfs_quota_us").write_text("-1" if cores is None else str(quota_us(cores)))


def _write_if_there(path: Path, value: int) -> None:
    if path.exists():  # A kernel without swap accounting has no such file.
        path.write_text(str(value))


def _try_door(door: Path) -> None:
    """Let a process go in, as those of the function will: making a group can be allowed where entering it is not."""
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", 'exec 2>/dev/null; echo 0 >"$0"', str(door)], {})
    _, status = os.waitpid(pid, 0)
    if status:
        raise PermissionError(errno.EPERM, "no process may be moved in", str(door))


def _words(path: Path) -> set[str]:
    try:
        return set(path.read_text().split())
    except OSError:
        return set()
