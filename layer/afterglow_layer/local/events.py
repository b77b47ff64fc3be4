"""The events to invoke with.

In: ``--event`` arguments, each a file, JSON text or ``-`` for standard input. Out: JSON bytes for each.
"""

import json
import sys
from pathlib import Path

from afterglow_layer.failure import usage

EMPTY = b"{}"


def read_event(argument: str) -> bytes:
    """Return the event that one argument stands for; Failure (usage) says what is wrong with it."""
    if argument == "-":
        return _checked(sys.stdin.buffer.read(), "standard input")
    if _is_file(argument):
        return _checked(Path(argument).read_bytes(), argument)
    try:
        json.loads(argument)
    except (ValueError, RecursionError) as error:
        raise usage(f"--event {argument[:80]!r}: no such file, and not JSON either ({error})") from None
    return argument.encode()


def _is_file(argument: str) -> bool:
    try:
        return Path(argument).is_file()
    except (OSError, ValueError):
        return False  # JSON can be longer than a file name may be, or hold a NUL.


def _checked(event: bytes, source: str) -> bytes:
    try:
        json.loads(event)
    except (ValueError, RecursionError) as error:
        raise usage(f"--event {source}: not JSON ({error})") from None
    return event
