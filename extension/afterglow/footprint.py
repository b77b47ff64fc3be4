"""Who owns the environment's memory. In: the runtime's pid. Out: one Footprint, as PSS per owner.

psutil is right here: once per environment, over processes of every kind, with names and parents. It is
imported when it is needed: 25 ms and 3 MB that the cold start must not pay.
"""

import os
from typing import Any

from afterglow.records import Footprint


def read_footprint(runtime_pid: int | None, at_ms: int) -> Footprint:
    """Return the PSS of the function's tree, of Afterglow, and of all other extensions; None where unreadable."""
    import psutil  # noqa: PLC0415 - see above

    function = _tree(psutil, runtime_pid)
    others = {process.pid for process in psutil.process_iter() if _is_other_extension(psutil, process, function)}
    return Footprint(
        at_ms=at_ms,
        function_pss_bytes=_pss(psutil, function),
        agent_pss_bytes=_pss(psutil, {os.getpid()}),
        others_pss_bytes=_pss(psutil, others) if others else 0,
        processes=len(function) + 1 + len(others),
    )


def _tree(psutil: Any, root: int | None) -> set[int]:
    if root is None:
        return set()
    try:
        return {root, *(child.pid for child in psutil.Process(root).children(recursive=True))}
    except psutil.Error:
        return set()


def _is_other_extension(psutil: Any, process: Any, function: set[int]) -> bool:
    """Lambda and RIE start extensions and the runtime as siblings; theirs is /opt/extensions/NAME."""
    if process.pid in function or process.pid == os.getpid():
        return False
    try:
        return any(word.startswith("/opt/extensions/") for word in process.cmdline()[:3])
    except psutil.Error:
        return False


def _pss(psutil: Any, pids: set[int]) -> int | None:
    total = 0
    for pid in pids:
        try:
            total += psutil.Process(pid).memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
        except psutil.Error:  # another user's process
            return None
    return total or None
