"""What truly became of each piece of work, by what the other end saw of it and when.

In: a run's invocation times, and the sink's log. Out: a `Piece` per invocation and sort of work, with the outcomes that
may be told of it. Nothing of what Afterglow found goes in: only its caller's clock, and when the freezer froze.
"""

import re
from itertools import pairwise
from typing import Any, NamedTuple

from tests.real.cases import Case, Work
from tests.real.playing import Arrival, Played

NEAR_S = 0.012
"""So close to a border (the return, the freeze) either side is right: two clocks, and the client has yet to read."""

READING_S = 0.008
"""So long awake, a client has read its answer and come to its end."""

DONE, RESUMED, LOST, OPEN = "done", "resumed", "lost", "open"


class Window(NamedTuple):
    """When an invocation's caller had its answer, and when its environment was frozen. Unix seconds."""

    number: int
    returned_s: float
    frozen_s: float  # at the latest; the last one's is known to a tenth of a second, on a loaded machine
    thawed_s: float
    last: bool  # of its environment: SHUTDOWN thaws it
    ended_s: float  # when the environment was gone, for what is the last one


class Piece(NamedTuple):
    """One piece of work of one invocation."""

    invocation: int
    work: Work
    must: bool  # a finding must tell of it; else one may
    outcomes: frozenset[str]
    why: str


def windows(document: dict[str, Any]) -> list[Window]:
    """Return each invocation's window, from the caller's times."""
    invocations = document["invocations"]
    ends = {each["environment"]: each.get("shutdown") for each in document["environments"]}
    found = []
    for each, after in zip(invocations, [*invocations[1:], None], strict=True):
        caller = each["caller"]
        returned_s = (caller["sent_at_ms"] + caller["took_ms"]) / 1000
        last = after is None or after["environment"] != each["environment"]
        end = ends.get(each["environment"]) or {}
        if after is not None and not last:
            thawed_s = after["caller"]["sent_at_ms"] / 1000
            frozen_s = thawed_s - after["caller"]["frozen_before_ms"] / 1000
        else:
            thawed_s = end.get("at_ms", returned_s * 1000) / 1000
            frozen_s = thawed_s - document["run"].get("frozen_after_ms", 0) / 1000
        ended_s = thawed_s + end.get("took_ms", 0) / 1000
        found.append(Window(each["invocation"], returned_s, max(frozen_s, returned_s), thawed_s, last, ended_s))
    return found


def arrivals_of(played: Played, path: str, invocation: int) -> list[Arrival]:
    """Return what the sink had of this invocation's order, by that path."""
    name = f"order-{invocation}"
    return [each for each in played.arrivals if name in each.names and re.search(path, each.path)]


def awake_s(every: list[Window], after: Window, from_s: float) -> float:
    """Return how long the environment was awake from then on, in invocations later than that one."""
    total_s = 0.0
    for before, each in [] if after.last else pairwise(every):
        if each.number > after.number:
            total_s += max(0.0, each.returned_s - max(before.thawed_s, from_s))
            if each.last:
                break
    return total_s


def piece(work: Work, window: Window, arrivals: list[Arrival], every: list[Window]) -> Piece:
    """Decide what became of one invocation's work, from when it arrived and when it was answered.

    What was answered when the environment was hardly awake any more may have read that, or may not.
    """
    number = window.number
    if not arrivals:
        allowed = {LOST, RESUMED} if window.last else {LOST, RESUMED, OPEN}
        return Piece(number, work, True, frozenset(allowed), "never arrived")
    answered = [each.answered_s for each in arrivals if each.answered_s is not None]
    arrived_s = min(each.arrived_s for each in arrivals)
    over_s = max(answered, default=float("inf"))
    begun_s = max((each.begun_s for each in arrivals if each.begun_s is not None), default=float("inf"))
    after_ms = (arrived_s - window.returned_s) * 1000
    told = f"arrived {after_ms:+.0f} ms from the return, answered {(over_s - window.returned_s) * 1000:+.0f} ms"
    if over_s <= window.returned_s - NEAR_S:
        return Piece(number, work, False, frozenset(), told)
    if over_s <= window.frozen_s + NEAR_S or begun_s <= window.returned_s + NEAR_S:
        long_after = not window.last and window.returned_s + NEAR_S < over_s < window.frozen_s - NEAR_S
        allowed = {DONE} if long_after else {DONE, RESUMED, LOST, OPEN}
        return Piece(number, work, long_after, frozenset(allowed), told)
    allowed = {RESUMED} if awake_s(every, window, over_s) >= READING_S else {RESUMED, LOST}
    return Piece(number, work, True, frozenset({*allowed, *work.outcomes}), told)


def pieces(played: Played) -> list[Piece]:
    """Return every piece of work of a run."""
    case: Case = played.case
    found = []
    every = windows(played.document)
    for window in every:
        for work in case.work:
            if work.may:
                found.append(Piece(window.number, work, False, frozenset({DONE, RESUMED, LOST, OPEN}), "a part of it"))
            elif work.path is not None:
                found.append(piece(work, window, arrivals_of(played, work.path, window.number), every))
            elif not work.invocations or window.number in work.invocations:
                allowed = frozenset(work.outcomes) | (frozenset({RESUMED, LOST}) if window.last else frozenset())
                found.append(Piece(window.number, work, True, allowed, "by what the function does"))
    return found


def late(played: Played) -> list[str]:
    """Return the orders of a well-behaved function that were not at the other end before their return."""
    return [
        f"#{window.number} by {path}"
        for window in windows(played.document)
        for path in played.case.arrives
        if not any(
            each.begun_s is not None and each.begun_s <= window.returned_s + 0.002
            for each in arrivals_of(played, path, window.number)
        )
    ]
