"""Who owns the environment's memory. In: the runtime's pid. Out: one Footprint, as PSS per owner.

The kernel adds a process's PSS up in one small file, smaps_rollup (proc(5), Linux 4.14; Lambda's is 5.10).
Where that file is missing, we add up the long smaps ourselves (docs/decisions/0027-no-psutil-in-the-layer.md).
"""

import errno
import os

from afterglow import proc
from afterglow.records import Footprint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

LONGEST_SMAPS_BYTES = 4 << 20
"""Some 5,000 regions, 20 ms of CPU. Half a sum would be no figure: what is longer is unknown."""

PIECE_BYTES = 65_536

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
        return _read_pss_bytes(f"{root}/{pid}")
    except OSError as error:
        return 0 if error.errno in _GONE else None


def _read_pss_bytes(folder: str) -> int | None:
    try:
        with open(f"{folder}/smaps_rollup", "rb") as file:  # noqa: PTH123 - pathlib is not imported in the sandbox
            return proc.parse_kib_field(file.read().decode("ascii", "replace"), "\nPss")
    except FileNotFoundError:  # a kernel without it, or one that hides it; or the process has left, and smaps with it
        with open(f"{folder}/smaps", "rb") as file:  # noqa: PTH123 - as above
            return sum_pss_bytes(file)


def sum_pss_bytes(smaps: "BinaryIO") -> int | None:
    """Return the sum over the regions of a smaps; 0: it is empty, a zombie's; None: too long, or no smaps at all."""
    seen_bytes, regions, total_kib, rest = 0, 0, 0, b"\n"
    while piece := smaps.read(PIECE_BYTES):
        seen_bytes += len(piece)
        if seen_bytes > LONGEST_SMAPS_BYTES:
            return None
        lines, _, cut = (rest + piece).rpartition(b"\n")
        rest = b"\n" + cut
        try:  # With its colon: Linux 6.0 has a Pss_Dirty as well.
            found_kib = [int(after.split(None, 1)[0]) for after in lines.split(b"\nPss:")[1:]]
        except (IndexError, ValueError):
            return None
        regions += len(found_kib)
        total_kib += sum(found_kib)
    return total_kib * 1024 if regions or not seen_bytes else None
