"""Stacks for the extension, at the price of nothing per invocation. In: faulthandler. Out: a memory file's descriptor.

faulthandler, in C, writes the stacks of all threads into a memory file when a fatal signal arrives, and when the
extension sends one signal of ours shortly before the deadline. The extension is given the same file, so it can
read it when this process is dead. A user who has set up faulthandler, or this signal, keeps what they have; one who
asks whether it is set up hears of their own doing alone.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what ``signal`` wraps, without its enums (3 ms)
import faulthandler
import os

from afterglow_hook.leaves import called_beside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STACK_SIGNAL = _signal.SIGRTMAX - 2


def arm() -> int | None:
    """Set both up and return the file's descriptor; None where this system cannot."""
    try:
        descriptor = os.memfd_create("afterglow-stacks")
    except (AttributeError, OSError):
        return None
    if not faulthandler.is_enabled():
        faulthandler.enable(file=descriptor, all_threads=True)
        _keep_to_ourselves()
    if _signal.getsignal(STACK_SIGNAL) == _signal.SIG_DFL:
        faulthandler.register(STACK_SIGNAL, file=descriptor, all_threads=True, chain=False)
    return descriptor


def _keep_to_ourselves() -> None:
    """Let ``is_enabled`` be False until the function itself enables it: many do so only where nobody has."""
    really_enabled = faulthandler.is_enabled
    by_the_function = False

    def enabled(_: Any) -> None:
        nonlocal by_the_function
        by_the_function = True

    def is_enabled() -> bool:
        return by_the_function and really_enabled()

    faulthandler.enable = called_beside(faulthandler.enable, enabled)
    faulthandler.is_enabled = is_enabled
