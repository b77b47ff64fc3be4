"""What a record's values can be. In: a record that was read. Out: whether all of it can be calculated with and sent on.

The limits are those that the collector takes batches by (``collect.forms``), for records that come another way: out
of a log, into which a function may print what it likes.
"""

from collections.abc import Iterable
from math import isfinite
from typing import Any

MAX_WHOLE = 1 << 53
"""Whole numbers are exact up to here in every reader of JSON; nothing that we count comes near."""

MAX_TEXT = 1024  # characters
MAX_MEMBERS = 1024  # of one list or object: modules, stacks


def is_plausible(record: Iterable[Any]) -> bool:
    """Return whether numbers are of a size that can be, and texts such that can be written."""
    return all(map(_fits, record))


def _fits(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_TEXT and is_utf8(value)
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, int):
        return -MAX_WHOLE <= value <= MAX_WHOLE
    if isinstance(value, dict):
        return len(value) <= MAX_MEMBERS and is_plausible(value) and is_plausible(value.values())
    if isinstance(value, list):
        return len(value) <= MAX_MEMBERS and is_plausible(value)
    return value is None


def is_utf8(text: str) -> bool:
    """Return whether the text can be written: half a character (a lone surrogate) cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
