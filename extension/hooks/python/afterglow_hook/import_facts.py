"""The tree of imports, as facts. In: timed imports, names of touched modules. Out: messages of a bounded size.

Runs after the answer has gone out. Of many modules the 256 with the highest total times are told one by one;
since nothing takes longer than what imports it, these are always a tree. The rest is added up where it hangs.
"""

from __future__ import annotations

import sys
import time
from types import ModuleType

from afterglow_hook import current, imports, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from afterglow_hook.imports import Import

MOST_TOLD = 256  # what a collector takes in one list
LARGEST_PART_BYTES = 48_000
FAILED, NATIVE = 1, 2
_LONGEST_NAME = 300
_NODE_BYTES, _SITE_BYTES = 80, 12  # numbers and punctuation

_listed: dict[str, str] = {}
"""Module → the listed one that stands for it: itself, or the module of its own package that imported it."""
_since_ns = 0


class Node:
    """One import in its tree."""

    __slots__ = ("children_ns", "listed", "parent", "rest", "rest_ns", "timed", "total_ns")

    def __init__(self, timed: Import, parent: Node | None) -> None:
        self.timed = timed
        self.parent = parent
        self.total_ns = timed.ended_ns - timed.began_ns
        self.children_ns = self.rest_ns = self.rest = 0
        self.listed = -1  # its place among the listed


def tell(index: int) -> bool:
    """Send what there is after an invocation; return whether there will be more."""
    global _since_ns  # noqa: PLW0603 - one clock for all messages of one call
    _since_ns = time.monotonic_ns()
    timed = [one for one in imports.take() if not one._name.startswith("afterglow_hook")]
    if index == 1:
        init = [one for one in timed if one.began_ns < imports.init_ended_ns]
        timed = timed[len(init) :]
        _send(None, tree_of(init))
    if timed:
        _send(index, tree_of(timed))
    if index >= imports.TIMED_INVOCATIONS:
        imports.finish()
    return _tell_touched(index) or index < imports.TIMED_INVOCATIONS


def tree_of(timed: list[Import]) -> list[Node]:
    """Return a node for each import; ``timed`` is in the order in which they began, in whatever threads."""
    nodes = []
    open_by_thread: dict[int, list[Node]] = {}
    for one in timed:
        stack = open_by_thread.setdefault(one.thread, [])
        while stack and stack[-1].timed.ended_ns <= one.began_ns:
            stack.pop()
        node = Node(one, stack[-1] if stack else None)
        stack.append(node)
        nodes.append(node)
    for node in nodes:
        if node.parent is not None:
            node.parent.children_ns += node.total_ns
    return nodes


def select(nodes: list[Node], most: int = MOST_TOLD) -> tuple[list[Node], int, int]:
    """Return the listed nodes, parents first, and time and number of the unlisted ones that hang nowhere.

    An unlisted node is counted by its nearest listed ancestor, its time where its own branch begins.
    """
    biggest = sorted(range(len(nodes)), key=lambda place: (-nodes[place].total_ns, place))[:most]
    listed = [nodes[place] for place in sorted(biggest)]
    for place, node in enumerate(listed):
        node.listed = place
    loose_ns = loose = 0
    for node in nodes:
        if node.listed >= 0:
            continue
        keeper = node.parent
        while keeper is not None and keeper.listed < 0:
            keeper = keeper.parent
        own_ns = node.total_ns if keeper is node.parent else 0  # else it is inside its parent's
        if keeper is None:
            loose_ns, loose = loose_ns + own_ns, loose + 1
        else:
            keeper.rest_ns, keeper.rest = keeper.rest_ns + own_ns, keeper.rest + 1
    return listed, loose_ns, loose


def _send(index: int | None, nodes: list[Node]) -> None:
    listed, loose_ns, loose = select(nodes)
    _remember(nodes)
    parts = _parts(listed)
    for nth, (files, rows) in enumerate(parts, start=1):
        wire.send(
            {
                "t": "imports",
                "id": None if index is None else current.request_id,
                "count": len(nodes) + (imports.untimed if index is None else 0),
                "loose": [loose_ns, loose],
                "untouched": imports.untouched,
                "watched": int(_is_watching()),
                "part": nth,
                "parts": len(parts),
                "files": files,
                "nodes": rows,
                "own": _own_ns(),
            }
        )


def _own_ns() -> int:
    """Return what telling has taken since the last message."""
    global _since_ns
    began_ns, _since_ns = _since_ns, time.monotonic_ns()
    return _since_ns - began_ns


def _parts(listed: list[Node]) -> list[tuple[list[str], list[list[Any]]]]:
    """Return (files, rows) per message; a row's site points into its own message's files."""
    parts: list[tuple[list[str], list[list[Any]]]] = []
    files: dict[str, int] = {}
    rows: list[list[Any]] = []
    room_bytes = 0
    for node in listed:
        if room_bytes <= 0:
            files, rows = {}, []
            parts.append(([], rows))
            room_bytes = LARGEST_PART_BYTES
        known = len(files)
        site = [[files.setdefault(code.co_filename, len(files)), line] for code, line in node.timed.site]
        fresh = list(files)[known:]
        parts[-1][0].extend(fresh)
        rows.append([*_row(node), site])
        room_bytes -= _NODE_BYTES + len(node.timed._name) + _SITE_BYTES * len(site) + sum(map(len, fresh))
    return parts or [([], [])]


def _row(node: Node) -> list[Any]:
    name = node.timed._name[:_LONGEST_NAME]
    flags = FAILED * node.timed.failed | NATIVE * _is_native(node.timed._name)
    parent = node.parent.listed if node.parent is not None else -1
    self_ns = node.total_ns - node.children_ns
    return [name, parent, node.total_ns, self_ns, node.rest_ns, node.rest, flags]


def _is_native(name: str) -> bool:
    """Return whether the module is an extension module; asks no module object that could answer with code."""
    module = sys.modules.get(name)
    if not issubclass(type(module), ModuleType):
        return False
    # ModuleType's own look-up: a LazyLoader's module would load itself if it were asked.
    spec = ModuleType.__getattribute__(module, "__dict__").get("__spec__")
    return str(getattr(spec, "origin", "")).endswith(".so")


# -- touched -------------------------------------------------------------------------------------------------


def _is_watching() -> bool:
    touched = sys.modules.get("afterglow_hook.touched")
    return touched is not None and touched.is_on()


def _remember(nodes: list[Node]) -> None:
    """Note which listed module speaks for which: a submodule without a line of its own counts for its package."""
    for node in nodes:
        name, keeper = node.timed._name, node
        while keeper.listed < 0 and keeper.parent is not None and _package(keeper.parent.timed._name) == _package(name):
            keeper = keeper.parent
        if keeper.listed >= 0:
            _listed.setdefault(name, keeper.timed._name)


def _package(name: str) -> str:
    return name.partition(".")[0]


def _tell_touched(index: int) -> bool:
    """Send which modules have been touched for the first time; return whether that goes on."""
    if not _is_watching():
        return False
    from afterglow_hook import touched  # noqa: PLC0415 - it is loaded

    fresh = {_listed[name] for name in list(touched.names) if type(name) is str and name in _listed}
    for name in [name for name, keeper in _listed.items() if keeper in fresh]:
        del _listed[name]
    last = index >= touched.WATCHED_INVOCATIONS
    wire.send({"t": "touched", "n": index, "last": int(last), "names": sorted(fresh), "own": _own_ns()})
    if last:
        touched.stop()
        _listed.clear()
    return not last
