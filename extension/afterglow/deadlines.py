"""Stacks shortly before the function's time is up. In: INVOKE's deadline. Out: a request to the runtime, in time.

Nothing is armed in the runtime (``stacks`` says why); the turn of the loop asks ``due_ms`` how long it may wait.
"""

import os
import time

from afterglow import stacks
from afterglow.lifecycle import State
from afterglow.parts import Parts

STACKS_BEFORE_MS = 100.0  # before the deadline; in a short timeout, a tenth of it


def set_deadline(parts: Parts, deadline_ms: object, woke_ns: int) -> None:
    """Note when the function's time is up; ``deadline_ms`` is INVOKE's, on the calendar."""
    if not isinstance(deadline_ms, int):
        return
    left_ms = deadline_ms - time.time() * 1000
    before_ms = min(STACKS_BEFORE_MS, left_ms / 10)
    parts.ends_ns = woke_ns + int(left_ms * 1e6)
    parts.stacks_due_ns = parts.ends_ns - int(before_ms * 1e6)


def are_due(parts: Parts, now_ns: int) -> bool:
    """Return whether it is time to ask."""
    return parts.stacks_due_ns is not None and now_ns >= parts.stacks_due_ns


def ask(parts: Parts) -> None:
    """Ask the runtime for its stacks, if its handler still runs and it listens to us."""
    parts.stacks_due_ns = None
    pid = parts.runtime_pid
    if parts.state != State.RUNNING or pid is None or pid not in parts.inbox.files:
        return
    clear(parts)
    if not stacks.ask_for_stacks(pid):
        parts.teller.lose("stacks", "the runtime does not take our signal")
    parts.stacks_of = parts.current


def clear(parts: Parts) -> None:
    """Empty the file that stacks are written to."""
    file = parts.inbox.files.get(parts.runtime_pid or 0)
    if file is not None:
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)


def last_words(parts: Parts) -> str:
    """Return what the runtime has written of its end, or of the deadline that it did not meet."""
    file = parts.inbox.files.get(parts.runtime_pid or 0)
    text = stacks.read_words(file) if file is not None else ""
    return stacks.last_words(text, asked=parts.stacks_of is not None and parts.stacks_of is parts.current)


def gone_before(parts: Parts, gone_ns: int | None) -> bool:
    """Return whether the runtime went before its time was nearly up: nobody had ended it."""
    before_ns = (parts.ends_ns or 0) - int(STACKS_BEFORE_MS * 1e6)
    return gone_ns is not None and gone_ns < before_ns
