"""What a thread has collected and not sent yet. In: its frames. Out: the addresses of what lies in its collections.

A worker that sends in batches takes each item at once, puts it into a list, and waits for more. Whether an item is
still there is seen in the lists, sets, deques and dictionaries that its functions and their objects have.
"""

from __future__ import annotations

import sys
from _collections import deque  # type: ignore[import-not-found]  # what ``collections`` wraps

from afterglow_hook.callsite import is_library
from afterglow_hook.loops import instructions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_MOST_ELEMENTS = 2_000
_FRAMES_SEARCHED = 12
_OBJECTS_DEEP = 2
_OPTIMIZED = 0x1  # CO_OPTIMIZED: a function's locals, not a module's or a class's
_OURS_AND_THE_FRAMES = 3  # references to a frame's copy of its locals: the frame's, ours, and the argument


def lying_about(frame: FrameType | None) -> dict[int, type]:
    """Return address → type of the elements of what a thread's functions and their objects collect."""
    found: dict[int, type] = {}
    for _ in range(_FRAMES_SEARCHED):
        if frame is None:
            break
        if not is_library(frame.f_code.co_filename) and frame.f_code.co_flags & _OPTIMIZED:
            stale = overwritten(frame)
            for name, value in locals_of(frame).items():
                if name not in stale:
                    _add_elements(value, found, _OBJECTS_DEEP)
        frame = frame.f_back
    return found


def locals_of(frame: FrameType) -> dict[str, Any]:
    """Return a function's local variables, and leave nothing that would keep alive what it lets go of."""
    names = frame.f_locals
    copied = dict(names)
    if sys.version_info < (3, 13) and sys.getrefcount(names) == _OURS_AND_THE_FRAMES:
        names.clear()  # the frame's own copy of them, which it would keep
    return copied


def overwritten(frame: FrameType) -> set[str]:
    """Return the local variables that a function stores next, before it reads them: what they hold is of last time.

    In ``batch = collect()`` the old batch lies there until ``collect`` returns, whatever became of it.
    """
    names = frame.f_code.co_varnames
    stored: set[str] = set()
    read: set[str] = set()
    for offset, operation, argument in instructions(frame.f_code):
        if offset <= frame.f_lasti:
            continue
        if operation.startswith(_LEAVE_THE_LINE) or "JUMP" in operation:
            break
        for kind, place in _accesses(operation, argument):
            if place < len(names):
                (stored if kind == "STORE" and names[place] not in read else read).add(names[place])
    return stored


_LEAVE_THE_LINE = ("RETURN", "RAISE", "RERAISE", "FOR_ITER", "SEND", "YIELD")


def _accesses(operation: str, argument: int) -> list[tuple[str, int]]:
    """Return ("LOAD" or "STORE", place) for each variable; from 3.13 on, one instruction can have two."""
    kinds = [part for part in operation.split("_") if part in ("LOAD", "STORE")]
    if "FAST" not in operation or not kinds:
        return []
    if len(kinds) == 1:
        return [(kinds[0], argument)]
    return [(kinds[0], argument >> 4), (kinds[1], argument & 15)]


def _add_elements(value: Any, found: dict[int, type], depth: int) -> None:
    kind = type(value)  # never isinstance: it asks a proxy for its __class__
    if issubclass(kind, (list, set, tuple, deque)):
        _add_all(value, found)
    elif issubclass(kind, dict):
        _add_all(dict.values(value), found)
    elif depth:
        attributes = attributes_of(value)
        if len(attributes) <= _MOST_ELEMENTS:
            for attribute in list(attributes.values()):
                _add_elements(attribute, found, depth - 1)


def _add_all(elements: Any, found: dict[int, type]) -> None:
    if len(elements) <= _MOST_ELEMENTS:
        for element in list(elements):
            found[id(element)] = type(element)
            if type(element) is tuple:
                found.update({id(part): type(part) for part in element})


def attributes_of(value: Any) -> dict[str, Any]:
    """Return an object's own attributes; nothing of a class, of what has none, and of a proxy that pretends to."""
    if issubclass(type(value), type) or type(value).__module__ == "builtins":
        return {}
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except Exception:  # a proxy's own idea of __dict__
        return {}
    return attributes if type(attributes) is dict else {}
