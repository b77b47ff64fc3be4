"""Which modules' functions have run at all. In: Python's own monitoring (3.12 and newer). Out: module names.

``sys.monitoring`` calls us when a code object starts for the first time and, as the answer is DISABLE, never
again for that one; what it costs is in bench/RESULTS.md ("imports"). Functions written in C leave no trace.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

WATCHED_INVOCATIONS = 10
_TOOL_IDS = (4, 3)  # those that PEP 669 gives to nobody

names: set[Any] = set()
_tool: int | None = None
_monitoring: Any = getattr(sys, "monitoring", None)
_disable: Any = getattr(_monitoring, "DISABLE", None)


def start() -> str:
    """Watch from now on; return why that is not possible, or ""."""
    global _tool  # noqa: PLW0603 - the one tool id that is ours
    free = [tool for tool in _TOOL_IDS if _monitoring.get_tool(tool) is None]
    if not free:
        return "other tools have taken all of sys.monitoring's free ids"
    _tool = free[0]
    _monitoring.use_tool_id(_tool, "afterglow")
    _monitoring.register_callback(_tool, _monitoring.events.PY_START, _note)
    _monitoring.set_events(_tool, _monitoring.events.PY_START)
    return ""


def _note(code: CodeType, offset: int) -> Any:
    del code, offset  # exec'd code (dataclasses, namedtuples) has no file of its own, but its module's globals
    try:  # noqa: SIM105 - contextlib is not loaded
        names.add(sys._getframe(1).f_globals.get("__name__"))
    except Exception:  # noqa: S110 - an unhashable __name__, globals that are no dict: not for us to judge
        pass
    return _disable


def stop() -> None:
    """Stop watching, and give the tool id back."""
    global _tool  # noqa: PLW0603 - as above
    if _tool is None:
        return
    _monitoring.set_events(_tool, 0)
    _monitoring.register_callback(_tool, _monitoring.events.PY_START, None)
    _monitoring.free_tool_id(_tool)
    _tool = None


def is_on() -> bool:
    """Return whether functions are being watched."""
    return _tool is not None
