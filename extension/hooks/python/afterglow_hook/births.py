"""What a function of the library has just made, where nothing small stands to be observed. In: its code. Out: calls.

``sys.monitoring`` (3.12 and newer) calls us when that one code object returns, and nowhere else: nothing of ours stands
in the call, so no frame of ours is in a stack trace, and no other function becomes any slower.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

_TOOL_IDS = (3, 4)  # those that PEP 669 gives to nobody; ``touched`` takes the other one


def watch(maker: CodeType, note: Callable[[Any, Any], None]) -> str:
    """Call ``note(what is returned, the frame)`` whenever ``maker`` returns; return why that is not possible, or ""."""
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None:
        return "this Python has no sys.monitoring"
    free = [tool for tool in _TOOL_IDS if monitoring.get_tool(tool) is None]
    if not free:
        return "other tools have taken all of sys.monitoring's free ids"

    def returned(code: CodeType, offset: int, made: Any) -> None:
        del code, offset
        note(made, sys._getframe(1))

    monitoring.use_tool_id(free[0], "afterglow-births")
    monitoring.register_callback(free[0], monitoring.events.PY_RETURN, returned)
    monitoring.set_local_events(free[0], maker, monitoring.events.PY_RETURN)
    return ""
