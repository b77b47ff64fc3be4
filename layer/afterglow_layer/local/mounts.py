"""The sandbox's /opt: the layer first, then whatever the host keeps there, but for the host's extensions.

In: the layer's folder (or none) and the host's /opt. Out: mounts in the caller's own mount namespace. A tmpfs
with bind mounts, as it works wherever a mount namespace does; overlayfs in a user namespace needs Linux 5.11.
The system calls go through ctypes: mount(8) would be a process for each.
"""

import ctypes
import os
import shutil
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple

OPT = Path("/opt")
HIDDEN = Path("extensions")  # RIE runs every file in here; the host's are not part of this run.

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 32, 4096, 8192, 16384, 1 << 18


class HostEntry(NamedTuple):
    """Something of the host's /opt that stays visible. Its path is relative to /opt."""

    path: Path
    kind: str  # folder, file or link


def plan(layer: Path | None, host: Path, below: Path = Path()) -> list[HostEntry]:
    """Return what of ``host`` to show beside the layer; where both have a file, the layer's is seen."""
    entries: list[HostEntry] = []
    for child in sorted((host / below).iterdir()):
        path = child.relative_to(host)
        in_layer = layer / path if layer else None
        if path == HIDDEN:
            continue
        if in_layer is None or not in_layer.exists():
            entries.append(HostEntry(path, _kind(child)))
        elif in_layer.is_dir() and child.is_dir():
            entries += plan(layer, host, path)
    return entries


def _kind(path: Path) -> str:
    if path.is_symlink():
        return "link"
    return "folder" if path.is_dir() else "file"


def _as_it_is(staging: Path) -> None:
    """Leave the layer's copy as the layer is."""


def make_private() -> None:
    """Keep what is mounted from now on to ourselves."""
    mount("none", Path("/"), None, MS_REC | MS_PRIVATE)


def mount_opt(layer: Path | None, staging: Path, opt: Path = OPT, prepare: Callable[[Path], None] = _as_it_is) -> None:
    """Put the layer and the host's rest at ``opt``, read-only; OSError names the step that was refused.

    ``prepare`` may change the layer's copy before anybody sees it.
    """
    make_private()
    mount("tmpfs", staging, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    if layer:
        shutil.copytree(layer, staging, dirs_exist_ok=True)
        prepare(staging)
    _put(plan(layer, opt), staging, opt)


def remake(folder: Path, staging: Path, without: Collection[str] = (), empty: Collection[str] = ()) -> None:
    """Show a folder of the host less some of its entries, and with empty folders that it lacks; nothing is copied."""
    mount("tmpfs", staging, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    entries = [HostEntry(Path(child.name), _kind(child)) for child in sorted(folder.iterdir())]
    for name in empty:
        (staging / name).mkdir()
    _put([entry for entry in entries if entry.path.name not in without], staging, folder)


def _put(entries: Iterable[HostEntry], staging: Path, folder: Path) -> None:
    """Add the host's entries to what is staged, and let that take the folder's place, read-only."""
    for entry in entries:
        _show(entry, folder, staging)
    mount("tmpfs", staging, None, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)
    mount(str(staging), folder, None, MS_MOVE)


def mount_proc() -> None:
    """Show this pid namespace in /proc, and nothing else."""
    mount("proc", Path("/proc"), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def _show(entry: HostEntry, opt: Path, staging: Path) -> None:
    source, target = opt / entry.path, staging / entry.path
    if entry.kind == "link":
        target.symlink_to(source.readlink())
        return
    if entry.kind == "folder":
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    # Recursive: a user namespace may not uncover what other mounts hide (mount_namespaces(7)).
    mount(str(source), target, None, MS_BIND | MS_REC)


def mount(source: str, target: Path, kind: str | None, flags: int, data: str = "") -> None:
    """Attach a file system; OSError says what was to go where."""
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind and kind.encode(),
        ctypes.c_ulong(flags),
        data.encode() or None,
    )
    if done:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind or source} on {target}: {os.strerror(number)}")
