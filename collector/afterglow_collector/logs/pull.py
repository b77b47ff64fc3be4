"""Reads log groups slice by slice. In: a client, groups, a stretch of time, what is done. Out: figures by function.

A slice is an hour or less of one group. When its last page is in, its figures are added to the group's and the
cursor is saved; until then they are apart, so that an interruption loses one slice's reading and nothing else.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from afterglow_collector.logs.cursor import Progress
from afterglow_collector.logs.fetch import LogEvent, fetch_events
from afterglow_collector.logs.message import read_message
from afterglow_collector.logs.origin import origin_of
from afterglow_collector.logs.statistics import Statistics

SLICE_MS = 3_600_000
MINUTE_MS = 60_000
MIN_SLICES = 8  # so that the bar moves
SETTLED_MS = 5 * 60_000
"""Lines reach CloudWatch Logs some time after their timestamp. What is younger is read and shown, but is not
marked as done in the cursor: the next pull reads it again, in full."""


class Slice(NamedTuple):
    """A stretch of one group's time, up to and without ``to_ms``."""

    group: str
    from_ms: int
    to_ms: int
    settled: bool


class Stretch(NamedTuple):
    """What is asked for, [from_ms, to_ms), and what time it is."""

    from_ms: int
    to_ms: int
    now_ms: int


def plan_slices(group: str, asked: Stretch, done_to_ms: int) -> list[Slice]:
    """Return the slices of the stretch that are left when what lies before ``done_to_ms`` is done."""
    length = max(MINUTE_MS, min(SLICE_MS, (asked.to_ms - asked.from_ms) // MIN_SLICES))
    settled_to_ms = max(done_to_ms, min(asked.to_ms, asked.now_ms - SETTLED_MS))
    edges = [*range(done_to_ms, settled_to_ms, length), settled_to_ms]
    slices = [Slice(group, start, end, settled=True) for start, end in pairwise(edges)]
    if settled_to_ms < asked.to_ms:
        slices.append(Slice(group, settled_to_ms, asked.to_ms, settled=False))
    return slices


def pull(
    client: Any,
    slices: Iterable[Slice],
    groups: dict[str, Progress],
    save: Callable[[], None],
    read: Callable[[Slice, int], None],
) -> dict[str, Statistics]:
    """Read the slices, moving ``groups`` on and saving them; return the figures of what is not yet settled.

    ``read`` is told of each slice that is done, with the number of its events.
    """
    unsettled: dict[str, Statistics] = {}
    for piece in slices:
        figures: dict[str, Statistics] = {}
        events = add_events(figures, piece.group, fetch_events(client, piece.group, piece.from_ms, piece.to_ms))
        if piece.settled:
            before = groups[piece.group]
            absorb(before.functions, figures)
            groups[piece.group] = before._replace(done_to_ms=piece.to_ms)
            save()
        else:
            absorb(unsettled, figures)
        read(piece, events)
    return unsettled


def add_events(figures: dict[str, Statistics], group: str, events: Iterable[LogEvent]) -> int:
    """Add the events to their functions' figures; return how many there were."""
    count = 0
    for event in events:
        function = origin_of(group, event.stream).function
        figures.setdefault(function, Statistics()).add(read_message(event.message))
        count += 1
    return count


def absorb(into: dict[str, Statistics], figures: Mapping[str, Statistics]) -> None:
    """Add figures by function to others."""
    for function, statistics in figures.items():
        into.setdefault(function, Statistics()).absorb(statistics)


def all_figures(parts: Iterable[Mapping[str, Statistics]]) -> dict[str, Statistics]:
    """Return the sum of parts that stay as they are."""
    every: dict[str, Statistics] = {}
    for part in parts:
        absorb(every, part)
    return every
