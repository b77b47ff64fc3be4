"""A /tmp of the sandbox's own, empty at the start and gone at the end, 512 MB as on Lambda where that can be had.

In: the paths below the host's /tmp that must stay reachable (the function may lie there). Out: /tmp replaced in the
caller's mount namespace, and words on how. The first of:

- a file system in a file, which takes root and a loop device. What is written counts as page cache, as on Lambda.
- a tmpfs, but not where a cgroup limits memory: it would count /tmp as the function's.
- a folder of the run's own: private, of no limited size.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from afterglow_layer.local import loop
from afterglow_layer.local.allotment import TMP_MB
from afterglow_layer.local.mounts import MS_BIND, MS_NODEV, MS_NOSUID, MS_REC, mount

TMP = Path("/tmp")  # noqa: S108 - Lambda's ephemeral storage has this name


THE_HOSTS = f"{TMP}: this machine's"


def below(tmp: Path, paths: Sequence[str]) -> list[Path]:
    """Return those of ``paths`` that lie below ``tmp``, less what another one already brings along."""
    found = sorted({Path(path) for path in paths if tmp in Path(path).parents})
    return [path for path in found if not any(other in path.parents for other in found)]


def mount_tmp(run_dir: Path, keep: Sequence[str], *, memory_limited: bool, tmp: Path = TMP) -> str:
    """Replace /tmp and return how, in words for the report; OSError where nothing may be mounted."""
    base = run_dir / "tmp"
    base.mkdir()
    words = _fill(base, memory_limited=memory_limited)
    for path in below(tmp, keep):
        _show(path, base / path.relative_to(tmp))
    # After the others: it holds them, and must not be seen with them in it.
    _show_flat(run_dir, tmp, base)
    mount(str(base), tmp, None, MS_BIND | MS_REC)
    return words


def _fill(base: Path, *, memory_limited: bool) -> str:
    try:
        loop.mount_image(base.with_name("tmp.img"), TMP_MB, base)
    except OSError as error:
        refused = error
    else:
        return f"{TMP}: its own, {TMP_MB} MB"
    if not memory_limited:
        mount("tmpfs", base, "tmpfs", MS_NOSUID | MS_NODEV, f"size={TMP_MB}m,mode=1777")
        return f"{TMP}: its own, {TMP_MB} MB, kept in memory"
    base.chmod(0o1777)
    return f"{TMP}: its own, but of no limited size ({refused})"


def _show(path: Path, target: Path) -> None:
    if path.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    # Recursive: a user namespace may not uncover what other mounts hide (mount_namespaces(7)).
    mount(str(path), target, None, MS_BIND | MS_REC)


def _show_flat(run_dir: Path, tmp: Path, base: Path) -> None:
    """Keep the run's folder writable where it was: the extension's records go there."""
    if tmp in run_dir.parents:
        target = base / run_dir.relative_to(tmp)
        target.mkdir(parents=True, exist_ok=True)
        mount(os.fspath(run_dir), target, None, MS_BIND)
