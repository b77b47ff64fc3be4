"""Who owns the environment's memory. In: the runtime's pid. Out: one Footprint, as PSS per owner.

The kernel adds a process's PSS up in one small file, smaps_rollup (proc(5), Linux 4.14; Lambda's is 5.10).
Where that file is missing, psutil adds up the long smaps; elsewhere it is not even imported: its 12 ms stood in
the way of one of the first invocations (bench/RESULTS.md, cold), and its 3 MB stayed.
"""

import errno
import os

from afterglow import proc
from afterglow.records import Footprint

_GONE = (errno.ENOENT, errno.ESRCH)  # it left between listing and reading, or is a zombie


def read_footprint(runtime_pid: int | None, at_ms: int, root: str = "/proc") -> Footprint:
    """Return the PSS of the function's tree, of Afterglow, and of all other extensions; None where unreadable."""
    everyone = proc.read_all(root)
    function = {stat.pid for stat in proc.tree_of(runtime_pid, everyone)} if runtime_pid is not None else set()
    others = {pid for pid in everyone.keys() - function if _is_other_extension(pid, root)}
    return Footprint(
        at_ms=at_ms,
        function_pss_bytes=_sum(function, root),
        agent_pss_bytes=_sum({os.getpid()}, root),
        others_pss_bytes=_sum(others, root) if others else 0,
        processes=len(function) + 1 + len(others),
    )


def _is_other_extension(pid: int, root: str) -> bool:
    """Lambda and RIE start extensions and the runtime as siblings; theirs is /opt/extensions/NAME."""
    if pid == os.getpid():
        return False
    words = (proc.read_text(f"{root}/{pid}/cmdline") or "").split("\0", 3)[:3]
    return any(word.startswith("/opt/extensions/") for word in words)


def _sum(pids: set[int], root: str) -> int | None:
    total = 0
    for pid in pids:
        pss_bytes = read_pss_bytes(pid, root)
        if pss_bytes is None:
            return None
        total += pss_bytes
    return total or None


def read_pss_bytes(pid: int, root: str = "/proc") -> int | None:
    """Return a process's PSS; 0: it has left; None: it is somebody else's, or nothing can be read."""
    try:
        with open(f"{root}/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123 - pathlib is not imported in the sandbox
            return proc.parse_kib_field(file.read().decode("ascii", "replace"), "\nPss")
    except PermissionError:
        return None
    except OSError as error:
        if error.errno == errno.ENOENT and os.path.exists(f"{root}/{pid}/smaps"):  # noqa: PTH110 - as above
            return _long_way(pid, root)
        return 0 if error.errno in _GONE else None


def _long_way(pid: int, root: str) -> int | None:
    """Return the sum over smaps, region by region: a kernel without smaps_rollup, or one that hides it."""
    import psutil  # noqa: PLC0415 - see above

    psutil.PROCFS_PATH = root
    try:
        return int(psutil.Process(pid).memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0
    except psutil.Error:  # another user's process
        return None
