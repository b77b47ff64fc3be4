"""What this machine has, or lets a function do, and Lambda does not: /dev/shm, files that can be written.

In: an order's wishes, in the sandbox's own mount namespace: ``begin`` before anything else is mounted, ``finish`` after
/opt, /proc and /tmp. Out: mounts, and a sentence on each for the report. Nothing here keeps a run from running: what
cannot be had is said instead.

Sources: Lambda developer guide, "Lambda quotas" (1,024 file descriptors), "Lambda execution environment" (file system
read-only but for /tmp); AWS Compute Blog, "Parallel Processing in Python with AWS Lambda" (no /dev/shm).
"""

import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from afterglow_layer.local import mounts, read_only
from afterglow_layer.local.private_tmp import TMP

NONE, HOST = "none", "host"
READ_ONLY, WRITABLE = "read-only", "writable"

DEV, SHM, VAR = Path("/dev"), Path("/dev/shm"), Path("/var")  # noqa: S108 - it is to go
RUNTIME, TASK = Path("/var/runtime"), Path("/var/task")

WRITTEN_BY_US = ("cgroup", "cgroup2")
"""File systems in which a process is led into its limits (``entry``)."""

UMASK = 0o022
OPEN_FILES = 1024

NO_SHM = f"{SHM}: none, as on Lambda: multiprocessing's locks, queues and pools fail"
NO_WRITING = f"files: read-only, but for {TMP}"


class Wishes(NamedTuple):
    """What is to be as on Lambda."""

    shm: str
    files: str
    as_managed: bool
    directory: Path  # the function's
    run_dir: Path  # the extension's records go there


def begin(wishes: Wishes) -> OSError | None:
    """Make all files read-only if that is wished for, but the run's own; return what was refused."""
    mounts.make_private()
    if wishes.files == WRITABLE:
        return None
    writable = {each.path for each in read_only.read_mounts() if each.kind in WRITTEN_BY_US and "rw" in each.options}
    try:
        read_only.seal()
    except OSError as error:
        return error
    for path in (wishes.run_dir, *writable):
        read_only.open_up(path)
    return None


def finish(wishes: Wishes, refused: OSError | None) -> list[str]:
    """Mount the rest of what is wished for; return how it went, in words. ``refused``: what ``begin`` has returned."""
    if wishes.as_managed:
        _make_folders(wishes)
    return [_shm(wishes), _files(wishes, refused)]


def limit_process() -> None:
    """Set the calling process's umask and its number of open files: what it starts has them from it."""
    os.umask(UMASK)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def _make_folders(wishes: Wishes) -> None:
    """Have an empty /var/runtime, which LAMBDA_RUNTIME_DIR and PYTHONPATH name, and the function at /var/task as well.

    Where that fails, they are missing.
    """
    missing = [path for path in (RUNTIME, TASK) if not path.exists()]
    with suppress(OSError):
        if missing:
            mounts.remake(VAR, _staging(wishes, "var"), empty=[path.name for path in missing])
        if TASK in missing:
            mounts.mount(str(wishes.directory), TASK, None, mounts.MS_BIND | mounts.MS_REC)


def _shm(wishes: Wishes) -> str:
    if wishes.shm == HOST:
        if wishes.files == READ_ONLY and SHM.is_dir():
            with suppress(OSError):  # It was read-only before, or all still is as it was.
                read_only.open_up(SHM)
        return f"{SHM}: this machine's (--shm host); Lambda has none"
    try:
        if SHM.exists():
            mounts.remake(DEV, _staging(wishes, "dev"), without=[SHM.name])
    except OSError as error:
        return f"{SHM}: this machine's, it could not be taken away ({error}); Lambda has none"
    return NO_SHM


def _files(wishes: Wishes, refused: OSError | None) -> str:
    if wishes.files == WRITABLE:
        return f"files: writable, as this machine lets them be (--files writable); on Lambda only {TMP} is"
    try:
        if refused is None:
            read_only.open_up(TMP)
        if refused is not None or TMP in wishes.directory.parents:
            read_only.make_folder_read_only(wishes.directory)
    except OSError as error:
        return f"files: as this machine has them ({refused or error}); on Lambda only {TMP} is writable"
    if refused is None:
        return NO_WRITING
    return f"files: the function's folder is read-only, no other ({refused}); on Lambda only {TMP} is writable"


def _staging(wishes: Wishes, name: str) -> Path:
    staging = wishes.run_dir / name
    staging.mkdir()
    return staging
