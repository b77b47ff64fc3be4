"""Whose invocation it is: the request id and index that work started now belongs to. Shared by the package."""

from _contextvars import ContextVar  # what ``contextvars`` wraps

request_id: "str | None" = None
"""None until the first invocation: work that starts then was started by Init."""
index = 0
running = False
"""Whether the handler runs: between its entry and its return."""
entered_ns = left_ns = looked_ns = 0
"""When it was entered, when it returned, and when the look after that was over, on the monotonic clock."""
acting_for: "ContextVar[tuple[str | None, int | None] | None]" = ContextVar("afterglow", default=None)
"""(request id, index), set in the handler's thread; asyncio copies it into what is handed to another thread's loop."""
previous: "tuple[str | None, int | None]" = (None, None)
"""(request id, index) of the invocation that returned before this one."""
previous_left_ns = 0
"""When that one returned."""
alarm_of_init = False
"""Whether Init has set an interval timer that interrupts, as a sampling profiler does: that is a design."""
handler_thread: "int | None" = None
"""threading.get_ident() of the thread that runs the handler."""
alive = True
"""False once the hook has given up; every observer looks at it first."""
