"""Stacks for the extension, at the price of nothing per invocation. In: faulthandler. Out: a memory file's descriptor.

faulthandler, in C, writes the stacks of all threads into a memory file when a fatal signal arrives, and when the
extension sends one signal of ours shortly before the deadline. The extension is given the same file, so it can
read it when this process is dead. A user who has set up faulthandler, or this signal, keeps what they have.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what ``signal`` wraps, without its enums (3 ms)
import faulthandler
import os

STACK_SIGNAL = _signal.SIGRTMAX - 2


def arm() -> int | None:
    """Set both up and return the file's descriptor; None where this system cannot."""
    try:
        descriptor = os.memfd_create("afterglow-stacks")
    except (AttributeError, OSError):
        return None
    if not faulthandler.is_enabled():
        faulthandler.enable(file=descriptor, all_threads=True)
    if _signal.getsignal(STACK_SIGNAL) == _signal.SIG_DFL:
        faulthandler.register(STACK_SIGNAL, file=descriptor, all_threads=True, chain=False)
    return descriptor
