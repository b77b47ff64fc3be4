"""Which of the frames that started a piece of work is the user's own. In: frames. Out: one call site.

A function's zip holds its own code and its dependencies side by side in the task root, so what is a
dependency is read from the ``*.dist-info`` folders that pip leaves there, once, when there is a finding.
"""

import os
from typing import NamedTuple

_MOST_DISTRIBUTIONS = 500
_DEPENDENCY_FOLDERS = ("/site-packages/", "/dist-packages/", "/opt/python/", "/var/runtime/", "/var/lang/")


class CallSite(NamedTuple):
    """Where the user's code started something."""

    file: str
    line: int
    function: str


def choose(frames: list[list[object]], dependencies: frozenset[str], root: str) -> CallSite | None:
    """Return the innermost frame of the user's own code, else the innermost one; None where there is none."""
    sites = [CallSite(str(file), int(str(line)), str(function)) for file, line, function in frames]
    own = (site for site in sites if not is_dependency(site.file, dependencies, root))
    return next(own, sites[0] if sites else None)


def is_dependency(file: str, dependencies: frozenset[str], root: str) -> bool:
    """Return whether the file belongs to an installed distribution rather than to the function itself."""
    if any(folder in file for folder in _DEPENDENCY_FOLDERS):
        return True
    if not root or not file.startswith(root + "/"):
        return False
    top = file[len(root) + 1 :].split("/", 1)[0]
    return top.removesuffix(".py") in dependencies


def read_dependencies(root: str) -> frozenset[str]:
    """Return the top-level module names that the distributions in ``root`` have installed."""
    try:
        folders = [name for name in os.listdir(root) if name.endswith(".dist-info")]  # noqa: PTH208 - no pathlib in the sandbox
    except OSError:
        return frozenset()
    names: set[str] = set()
    for folder in folders[:_MOST_DISTRIBUTIONS]:
        names |= _top_levels(f"{root}/{folder}")
    return frozenset(names)


def _top_levels(dist_info: str) -> set[str]:
    """RECORD lists every installed file; its first path component is the module (PEP 376, PEP 627)."""
    try:
        with open(f"{dist_info}/RECORD", encoding="utf-8", errors="replace") as record:  # noqa: PTH123 - as above
            tops = {line.split(",", 1)[0].split("/", 1)[0] for line in record}
    except OSError:
        return set()
    return {top.removesuffix(".py") for top in tops if not top.endswith((".dist-info", "..", ".data"))}
