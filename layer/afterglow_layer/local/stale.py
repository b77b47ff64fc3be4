"""Clears away what a keeper left that was itself killed: nobody else can have.

In: where cgroups and run folders are made. Out: those of dead keepers gone. A keeper's cgroups bear its pid in their
name, a run's folder has it in a file.
"""

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from afterglow_layer.local import cgroups
from afterglow_layer.local.cgroups import Home

OWNER = "keeper"
FOLDERS = "afterglow-run-*"

_GROUP = re.compile(r"afterglow-(\d+)")


def name_of(pid: int) -> str:
    """Return what a keeper calls its groups."""
    return f"afterglow-{pid}"


def sign(folder: Path, proc: Path = Path("/proc")) -> None:
    """Say in a run's folder who its keeper is: a pid, and the namespace where that pid means something."""
    (folder / OWNER).write_text(f"{os.getpid()} {_namespace(proc)}")


def _namespace(proc: Path) -> str:
    return str((proc / "self/ns/pid").readlink())


def sweep_groups(homes: Iterable[Home], proc: Path = Path("/proc")) -> None:
    """Thaw the groups of dead keepers, so that what is in there can die, and remove them."""
    for home in homes:
        for path in home.path.glob("afterglow-*"):
            named = _GROUP.fullmatch(path.name)
            if named and not (proc / named[1]).exists() and not _is_elsewhere(path):
                _clear(Home(home.kind, path))


def _is_elsewhere(path: Path) -> bool:
    """Tell whether a process in there is of another pid namespace (shown as 0): its keeper may live there, too."""
    try:
        return "0" in (path / "cgroup.procs").read_text().split()
    except OSError:
        return False


def _clear(group: Home) -> None:
    with suppress(OSError):  # Somebody else sweeps, too, or it is not ours to remove.
        if cgroups.can_freeze(group):
            cgroups.thaw(group)
        cgroups.remove(group)


def sweep_folders(beside: Path, proc: Path = Path("/proc")) -> None:
    """Remove the run folders of dead keepers that lie beside this one, if they are this user's."""
    for path in beside.parent.glob(FOLDERS):
        with suppress(OSError, ValueError):
            owner, namespace = (path / OWNER).read_text().split()
            ours = path.lstat().st_uid == os.getuid() and not path.is_symlink() and namespace == _namespace(proc)
            if ours and not (proc / owner).exists():
                shutil.rmtree(path, ignore_errors=True)
