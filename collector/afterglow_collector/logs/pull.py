"""Reads log groups slice by slice. In: a client, groups, a stretch of time, what is done. Out: figures by function.

A slice is an hour or less of one group. When its last page is in, its figures are added to the group's and the
cursor is saved; until then they are apart, so that an interruption loses one slice's reading and nothing else.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from afterglow_collector.logs.cursor import Progress
from afterglow_collector.logs.fetch import LogEvent, fetch_events
from afterglow_collector.logs.message import read_message
from afterglow_collector.logs.origin import origin_of
from afterglow_collector.logs.recent import RecentReports
from afterglow_collector.logs.report_line import Report
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
    *,
    may_go: Container[str] = (),
) -> dict[str, Statistics]:
    """Read the slices, moving ``groups`` on and saving them; return the figures of what is not yet settled.

    ``read`` is told of each slice that is done, with the number of its events; a group of ``may_go`` may have been
    deleted since it was found.
    """
    unsettled: dict[str, Statistics] = {}
    gone: set[str] = set()
    for piece in slices:
        figures: dict[str, Statistics] = {}
        try:
            events = _events_of(client, piece, figures) if piece.group not in gone else None
        except client.exceptions.ResourceNotFoundException:
            if piece.group not in may_go:
                raise
            gone.add(piece.group)
            events = None
        if events is None:
            read(piece, 0)  # what was read of it before it was deleted counts; the other groups are read on
            continue
        if piece.settled:
            before = groups[piece.group]
            absorb(before.functions, figures)
            groups[piece.group] = before._replace(done_to_ms=piece.to_ms)
            save()
        else:
            absorb(unsettled, figures)
        read(piece, events)
    return unsettled


def _events_of(client: Any, piece: Slice, figures: dict[str, Statistics]) -> int:
    return add_events(figures, piece.group, fetch_events(client, piece.group, piece.from_ms, piece.to_ms))


def add_events(figures: dict[str, Statistics], group: str, events: Iterable[LogEvent]) -> int:
    """Add the events to their functions' figures; return how many there were."""
    count, recent = 0, RecentReports()
    for event in events:
        statistics = figures.setdefault(origin_of(group, event.stream).function, Statistics())
        found = read_message(event.message)
        statistics.add(found)
        if isinstance(found, Report):
            statistics.counts["repeated"] += recent.is_repeated(event.stream, found.request_id)
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
