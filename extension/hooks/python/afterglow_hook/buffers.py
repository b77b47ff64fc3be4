"""What a library's thread will send when its time comes. In: threads that wait, their objects. Out: works.

An exporter's buffer is filled by the handler itself, with no word to the thread that empties it later: a deque of
spans, a list of events. What lies in it at the return, and did not lie there before, this invocation has put there.

A buffer is an attribute with a buffer's name, of an object whose method the waiting thread runs, or of one that such
an object has. They are looked for once per thread; after that a look compares what lies in them.
"""

from __future__ import annotations

import weakref
from _collections import deque  # type: ignore[import-not-found]  # what ``collections`` wraps

from afterglow_hook.batches import attributes_of, locals_of
from afterglow_hook.callsite import is_library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

NAMES = ("pending", "events", "spans", "records", "messages", "items", "buf")
ENDINGS = ("queue", "buffer", "batch", "backlog", "outbox")
"""What a buffer is called, and what its name ends in: ``recent_events`` is a history."""
_MOST_ATTRIBUTES = 100
_MOST_BUFFERS = 8
_MOST_ELEMENTS = 1_000
_FRAMES_SEARCHED = 8


class Buffer:
    """One attribute of one object."""

    __slots__ = ("lay", "name", "owner")

    def __init__(self, owner: Any, name: str) -> None:
        self.owner = weakref.ref(owner)
        self.name = name
        self.lay: set[int] = set()  # addresses of what lay in it at the last look

    def elements(self) -> set[int]:
        """Return the addresses of what lies in it."""
        held: Any = attributes_of(self.owner()).get(self.name)
        if type(held) not in (list, deque) or len(held) > _MOST_ELEMENTS:
            return set()
        return {id(element) for element in list(held) if element is not None}

    def is_list(self) -> bool:
        """Return whether it is a list, which settings are kept in, too."""
        return type(attributes_of(self.owner()).get(self.name)) is list

    def new(self) -> set[int]:
        """Return the addresses of what has come since the last call."""
        now = self.elements()
        came, self.lay = now - self.lay, now
        return came


def buffers_of(frame: FrameType | None) -> list[Buffer]:
    """Return the buffers of the objects whose methods a thread runs."""
    found: list[Buffer] = []
    for _ in range(_FRAMES_SEARCHED):
        if frame is None:
            break
        names = frame.f_code.co_varnames
        if names[:1] == ("self",) and not is_library(frame.f_code.co_filename):
            found += _buffers_in(locals_of(frame).get("self"), deep=True)
        frame = frame.f_back
    return found[:_MOST_BUFFERS]


def _buffers_in(owner: Any, *, deep: bool) -> list[Buffer]:
    found = []
    for name, value in list(attributes_of(owner).items())[:_MOST_ATTRIBUTES]:
        if isinstance(name, str) and _is_buffers(name) and type(value) in (list, deque):
            try:
                found.append(Buffer(owner, name))
            except TypeError:  # of a class without weak references
                break
        elif deep and _package_of(value) == _package_of(owner):
            found += _buffers_in(value, deep=False)
    return found


def _is_buffers(name: str) -> bool:
    bare = name.lower().strip("_")
    return bare in NAMES or bare.endswith(ENDINGS)


def _package_of(value: Any) -> str:
    return str(type(value).__module__).partition(".")[0]
