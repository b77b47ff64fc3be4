"""When each import began and ended. In: importlib's own steps. Out: finished imports, one object each.

importlib makes a ``_ModuleLockManager`` when it begins to import a module and leaves it when that has ended,
well or badly: two leaves, so no frame of ours ever stands in a trace, and no finder, loader, spec or module
is touched (docs/decisions/0013-imports-at-the-lock.md). A module that is loaded already costs nothing.
The tree is put together later, after the first answer: ``import_facts``.
"""

from __future__ import annotations

import _frozen_importlib as _importlib
import os
import sys
from _thread import get_ident
from time import monotonic_ns

from afterglow_hook.callsite import site_of_import

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from afterglow_hook.callsite import Site

TIMED_INVOCATIONS = 3
"""What the first invocations import, they import late; later ones hardly import anything."""
SITED_NS = 5_000_000  # what takes less needs no line of its own: looking one up takes 3 to 10 µs
HEAVY_NS = 10_000_000  # what would be worth a lazy import
MOST_TIMED = 20_000

finished: list[Import] = []
"""In the order in which they began; some may still be going on, in other threads."""
untimed = 0
"""Imports past MOST_TIMED."""
init_ended_ns = 0
watching = False
"""Whether there is something to tell after an answer."""
untouched = ""
"""Why it is not known which modules remain untouched; "": it is, or no module is heavy enough to matter."""

_original: Any = getattr(_importlib, "_ModuleLockManager", None)


class Import:
    """One import, in the place of importlib's own context manager."""

    __slots__ = ("_lock", "_name", "began_ns", "ended_ns", "failed", "site", "thread")

    def __init__(self, name: str) -> None:
        global untimed  # noqa: PLW0603 - a count that belongs to this module
        self._name = name
        self._lock: Any = None
        self.began_ns = 0
        if name in sys.modules:  # reload, or another thread is about to finish it
            return
        if len(finished) >= MOST_TIMED:
            untimed += 1
            return
        self.thread = get_ident()
        self.ended_ns = 0
        finished.append(self)
        self.began_ns = monotonic_ns()

    __enter__ = getattr(
        _original, "__enter__", None
    )  # the same function: it can raise, and its frame is the one that it always was

    def __exit__(self, error: object = None, *rest: object) -> None:
        """Stop the clock, let go of the lock."""
        if self.began_ns:
            self.ended_ns = monotonic_ns()
            self.failed = error is not None
            self.site: Site = ()
            if self.ended_ns - self.began_ns >= SITED_NS:
                try:
                    self.site = site_of_import(sys._getframe(1))
                except Exception:
                    self.site = ()  # an import that succeeded must not fail for want of its line
        lock, self._lock = self._lock, None  # kept here, it would outlive its use in importlib's own table
        lock.release()


def begin() -> None:
    """Time imports from now on; Init's have begun."""
    global watching  # noqa: PLW0603 - this module's own state
    if _original is None or os.environ.get("AFTERGLOW_IMPORTS", "").lower() in {"0", "off", "false"}:
        return
    _importlib._ModuleLockManager = Import  # type: ignore[attr-defined]
    watching = True


def end_of_init() -> None:
    """Note the end of Init; if a module was heavy, watch from here on which ones are touched."""
    global init_ended_ns, untouched  # noqa: PLW0603 - this module's own state
    init_ended_ns = monotonic_ns()
    if not watching or not any(one.ended_ns - one.began_ns >= HEAVY_NS for one in finished[1:]):
        return
    if os.environ.get("AFTERGLOW_IMPORTS", "").lower() == "tree":
        untouched = "AFTERGLOW_IMPORTS=tree"
    elif not hasattr(sys, "monitoring"):
        untouched = "it takes Python 3.12 or newer to know"
    else:
        from afterglow_hook import touched  # noqa: PLC0415 - only where there is something to find

        untouched = touched.start()


def take() -> list[Import]:
    """Return the imports that have ended since the last call, in the order in which they began."""
    found = finished[:]
    del finished[: len(found)]  # another thread may have added one since
    finished[:0] = [one for one in found if not one.ended_ns]
    return [one for one in found if one.ended_ns]


def tell(index: int) -> None:
    """Tell what was imported and touched until the end of this invocation, and stop when that is enough."""
    global watching  # noqa: PLW0603 - this module's own state
    from afterglow_hook import import_facts  # noqa: PLC0415 - after the answer; the cold start does not pay for it

    watching = import_facts.tell(index)


def end() -> None:
    """Give importlib its own class back, and Python its monitoring."""
    touched = sys.modules.get("afterglow_hook.touched")
    if touched is not None:
        touched.stop()
    finish()


def finish() -> None:
    """Give importlib its own class back."""
    if _importlib._ModuleLockManager is Import:  # type: ignore[attr-defined]
        _importlib._ModuleLockManager = _original  # type: ignore[attr-defined]
    finished.clear()


def forget_all() -> None:
    """In a forked child: what was imported so far, the parent has told or will tell."""
    finished.clear()
