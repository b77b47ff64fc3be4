"""Clears away what a keeper left that was itself killed: nobody else can have.

In: where cgroups and run folders are made. Out: those of dead keepers gone. A keeper's cgroups bear its pid in their
name, a run's folder has it in a file.
"""

import os
import re
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from afterglow_layer.local import cgroups
from afterglow_layer.local.cgroups import Home

OWNER = "keeper"
FOLDERS = "afterglow-run-*"
UNSIGNED_S = 3600.0

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
            found = path.lstat()
            if found.st_uid != os.getuid() or path.is_symlink():
                continue
            if not (path / OWNER).exists():
                _remove_unsigned(path, found.st_mtime)
                continue
            owner, namespace = (path / OWNER).read_text().split()
            if namespace == _namespace(proc) and not (proc / owner).exists():
                shutil.rmtree(path, ignore_errors=True)


def _remove_unsigned(path: Path, changed_at_s: float) -> None:
    """Remove an empty folder that no run can still be about to sign: it was killed before it could."""
    if time.time() - changed_at_s > UNSIGNED_S:
        path.rmdir()
