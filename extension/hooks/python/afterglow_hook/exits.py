"""Who ends the runtime's process from within. In: the calls that do. Out: a fact with the caller's frames, just before.

SystemExit has a traceback, a fatal signal has faulthandler; ``os._exit`` and a deadly signal to oneself leave nothing.
Whether the signal was deadly, and for whom, is not looked at: the extension believes it when the process is gone.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what ``signal`` wraps, without its enums (3 ms)
import sys
import time

from afterglow_hook import current, wire
from afterglow_hook.callsite import site_of, spelled
from afterglow_hook.leaves import called_beside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_MOST_SIGNALS = 50  # told of: whoever asks with signal 0 whether a child is alive does so often
_CALLS = {"os": ("_exit", "kill", "killpg", "abort"), "signal": ("raise_signal", "pthread_kill")}
_signals = 0


def _noting(call: str) -> Callable[[Any], None]:
    def note(caller: Any) -> None:
        global _signals  # noqa: PLW0603 - a count that belongs to this module
        try:
            if not current.alive or _signals >= _MOST_SIGNALS:
                return
            _signals += call != "os._exit"
            wire.send({"t": "exit", "call": call, "at": time.monotonic_ns(), "site": spelled(site_of(caller))})
        except Exception:  # noqa: S110 - the process is about to end: it ends as it would without us
            pass

    return note


def install() -> None:
    """Stand beside these calls; modules that have taken them before keep what they have."""
    for name, calls in _CALLS.items():
        modules = [sys.modules.get(name), sys.modules.get("posix") if name == "os" else _signal]
        for call in calls:
            real = getattr(modules[1], call, None)
            if real is not None:
                beside = called_beside(real, _noting(f"{name}.{call}"))
                for module in modules:
                    if getattr(module, call, None) is real:
                        setattr(module, call, beside)
