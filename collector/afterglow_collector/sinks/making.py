"""Makes many entries into one request, and finds those that cannot be. In: a form for each. Out: the request.

One entry that a library will not take must not hold back the others: it is left out, and counted by the sink.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from afterglow_collector.sinks.contract import UNMAKEABLE

_Form = TypeVar("_Form")
_Part = TypeVar("_Part")
_Made = TypeVar("_Made")

REFUSED = "unmakeable"
"""The reason why an entry is refused that cannot be made into the sink's form."""


def each(forms: Sequence[_Form], take_apart: Callable[[_Form], list[_Part]]) -> tuple[list[list[_Part]], int]:
    """Return the parts of those that can be taken apart, and how many cannot."""
    taken = []
    for form in forms:
        try:
            taken.append(take_apart(form))
        except UNMAKEABLE:
            continue
    return taken, len(forms) - len(taken)


def together(parts: Sequence[list[_Part]], make: Callable[[list[_Part]], _Made]) -> tuple[_Made, int]:
    """Return what is made of all parts, without those that would spoil it, and how many these are."""
    try:
        return make([one for part in parts for one in part]), 0
    except UNMAKEABLE:
        good, bad = each(parts, lambda part: part if make(part) is not None else [])
        return make([one for part in good for one in part]), bad
