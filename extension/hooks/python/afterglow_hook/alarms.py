"""An interval timer of the kernel's, still set when the handler has returned. In: ``getitimer``. Out: AlarmWork.

It runs on while the environment is frozen, and rings at the thaw, in the runtime's own loop or in somebody else's
handler: with an exception from the user's signal handler, or, without one, with the end of the process.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what ``signal`` wraps, without its enums (3 ms)
import time

from afterglow_hook import current
from afterglow_hook.origins import Origin
from afterglow_hook.work import Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from afterglow_hook.callsite import Site

_open: AlarmWork | None = None


def remaining_s() -> float:
    """Return in how many seconds SIGALRM is due; 0: it is not."""
    return float(_signal.getitimer(_signal.ITIMER_REAL)[0])


def left(now_ns: int) -> Iterator[Work]:
    """Yield the timer, once."""
    global _open  # noqa: PLW0603 - there is one such timer in a process
    if current.alarm_of_init or (_open is not None and not _open.over):
        return
    due_s = remaining_s()
    if due_s > 0:
        name, site = _handler()
        giver = current.request_id, current.index
        _open = AlarmWork(Origin("alarm", name, site, giver), f"SIGALRM is due in {due_s:.3g} s", now_ns, due_s)
        yield _open


def _handler() -> tuple[str, Site]:
    """Return the name of what SIGALRM calls, and where that is; what has set the timer leaves no trace."""
    handler = _signal.getsignal(_signal.SIGALRM)
    code = getattr(getattr(handler, "__func__", handler), "__code__", None)
    if code is None:
        return ("the end of the process" if handler == _signal.SIG_DFL else "SIGALRM"), ()
    return getattr(handler, "__qualname__", code.co_name), ((code, code.co_firstlineno),)


class AlarmWork(Work):
    """A timer that is set; it is over when it has rung, or was cancelled."""

    def __init__(self, origin: Origin, state: str, at_ns: int, due_s: float) -> None:
        self.due_ns = at_ns + int(due_s * 1e9)
        super().__init__(origin, state, at_ns)

    def alive(self) -> bool:
        """Look whether it is still to ring; nobody sees when it did, but for the time that it was due at."""
        now_ns = time.monotonic_ns()
        if remaining_s() > 0 and now_ns < self.due_ns:
            return True
        self.end(now_ns, since_ns=min(now_ns, self.due_ns))
        return False
