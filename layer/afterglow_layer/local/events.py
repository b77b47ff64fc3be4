"""The events to invoke with.

In: ``--event`` arguments, each a file, JSON text or ``-`` for standard input. Out: JSON bytes for each.
"""

import json
import sys
from pathlib import Path

from afterglow_layer.failure import usage

EMPTY = b"{}"

MOST_BYTES = 6 * 1024 * 1024
"""Lambda developer guide, "Lambda quotas": an event of a synchronous invocation, which is then refused with 413."""


def read_event(argument: str) -> bytes:
    """Return the event that one argument stands for; Failure (usage) says what is wrong with it."""
    if argument == "-":
        return _checked(sys.stdin.buffer.read(), "standard input")
    if _is_file(argument):
        return _checked(Path(argument).read_bytes(), argument)
    try:
        return parsed(argument.encode())
    except (ValueError, RecursionError) as error:
        raise usage(f"--event {argument[:80]!r}: no such file, and not JSON either ({error})") from None


def _is_file(argument: str) -> bool:
    try:
        return Path(argument).is_file()
    except (OSError, ValueError):
        return False  # JSON can be longer than a file name may be, or hold a NUL.


def _checked(event: bytes, source: str) -> bytes:
    try:
        return parsed(event)
    except (ValueError, RecursionError) as error:
        raise usage(f"--event {source}: not JSON ({error})") from None


def parsed(event: bytes) -> bytes:
    """Return the event, which is JSON as Lambda takes it: UTF-8, without NaN and Infinity; ValueError for any other."""
    json.loads(event.decode(), parse_constant=_refuse)
    if len(event) > MOST_BYTES:
        raise usage(f"--event: {len(event):,} bytes, and Lambda takes {MOST_BYTES:,} (6 MB) at most")
    return event


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
