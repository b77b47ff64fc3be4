"""When the run was awake and when not: the stretches that make up the time axis.

In: the run document. Out: the invocations worth a row, and stretches in Unix epoch milliseconds. Pure.
"""

import itertools
from typing import Any

from afterglow_collector.axis import Stretch
from afterglow_collector.words import counted, in_ms

ALL_SHOWN = 12  # up to so many invocations are all drawn
EDGE_SHOWN = 2  # of more, the first and last ones, and those that something happened to
EVENTFUL_SHOWN = 8
IDLE_FOLD_MS = 50.0  # a wait between calls that is longer than this is folded, though nothing was frozen


def chosen(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the invocations that are worth a row: all of a short run, the eventful ones of a long one."""
    invocations = document["invocations"]
    if len(invocations) <= ALL_SHOWN:
        return list(invocations)
    numbers = [i["invocation"] for i in invocations]
    eventful = {f[key] for f in document["findings"] for key in ("invocation", "resumed_invocation")}
    eventful |= {i["invocation"] for i in invocations if failed(i)}
    shown = {*numbers[:EDGE_SHOWN], *numbers[-EDGE_SHOWN:]}
    shown |= set([n for n in numbers if n in eventful and n not in shown][:EVENTFUL_SHOWN])
    return [i for i in invocations if i["invocation"] in shown]


def failed(invocation: dict[str, Any]) -> bool:
    """Return whether the caller saw it end badly, or the record says so: an answer can look well and be none."""
    caller, status = invocation["caller"], invocation["status"]
    seen = caller is not None and caller["outcome"] != "ok"
    return seen or status not in ((None, "ok", "unknown") if caller else (None, "ok"))


def how_it_ended(invocation: dict[str, Any]) -> str:
    """Return one word for it: the record's where that knows of a bad ending, else what the caller saw."""
    status, caller = invocation["status"], invocation["caller"]
    if status in (None, "ok", "unknown") and caller:
        return str(caller["outcome"])
    return str(status or "unknown")


SHORT = {"out-of-memory": "memory", "init-error": "init", "no-answer": "silent"}
"""Words for endings that are too long for a label."""

CUT_SHORT = ("timeout", "out-of-memory", "crash", "init-error", "aborted", "no-answer")
"""Endings that are not the handler's own."""


def span_of(invocation: dict[str, Any]) -> tuple[float, float]:
    """Return when it began and ended: for the caller if there was one, else for the handler."""
    caller = invocation["caller"]
    if caller:
        return caller["sent_at_ms"], caller["sent_at_ms"] + caller["took_ms"]
    return invocation["at_ms"], invocation["at_ms"] + (invocation["duration_ms"] or 0.0)


def stretches_of(document: dict[str, Any]) -> list[Stretch]:
    """Return the run's time from the first sign of life to the last: awake and folded by turns."""
    shown = chosen(document)
    if not shown:
        return []
    begin, end = span_of(shown[0])
    if document["init"]:
        begin = min(begin, document["init"]["at_ms"])
    stretches = []
    for before, after in itertools.pairwise(shown):
        next_begin, next_end = span_of(after)
        fold = _fold(before, after, end, next_begin)
        if fold:
            stretches += [Stretch(begin, fold.from_ms, "", None), fold]
            begin = next_begin
        end = next_end
    return [*stretches, *_last_stretches(document, begin, end)]


def _fold(before: dict[str, Any], after: dict[str, Any], end: float, begin: float) -> Stretch | None:
    """Return what lies between two calls: invocations that are not shown, a freeze, a wait, or nothing."""
    first, last = before["invocation"] + 1, after["invocation"] - 1
    if first <= last:
        return Stretch(end, begin, f"#{first}" if first == last else f"#{first}–#{last}", "skipped")  # noqa: RUF001
    caller = after["caller"]
    frozen_ms = (caller["frozen_before_ms"] if caller else after["frozen_before_ms"]) or 0.0
    if frozen_ms > 0:
        return Stretch(max(end, begin - frozen_ms), begin, in_ms(frozen_ms), "frozen")
    if begin - end > IDLE_FOLD_MS:
        return Stretch(end, begin, in_ms(begin - end), "idle")
    return None


def _last_stretches(document: dict[str, Any], begin: float, end: float) -> list[Stretch]:
    """Return what follows the last answer: a freeze or a wait, then the thaw and SHUTDOWN."""
    downs = [environment["shutdown"] for environment in document["environments"] if environment["shutdown"]]
    last = max([end, *(down["at_ms"] + down["took_ms"] for down in downs)])
    frozen_ms = document["run"]["frozen_after_ms"] or 0.0
    if downs and downs[-1]["at_ms"] < end + frozen_ms / 2:
        frozen_ms = 0.0  # the environment ended with the invocation: only what stood around it was frozen
    thaw = end + frozen_ms if frozen_ms else max([end, *(down["at_ms"] for down in downs)])
    if not frozen_ms and thaw - end <= IDLE_FOLD_MS:
        return [Stretch(begin, last, "", None)]
    fold = Stretch(end, thaw, in_ms(thaw - end), "frozen" if frozen_ms else "idle")
    return [Stretch(begin, end, "", None), fold, Stretch(thaw, max(thaw + 1, last), "", None)]


def left_out(document: dict[str, Any]) -> str | None:
    """Return how many invocations have no row, in words."""
    missing = len(document["invocations"]) - len(chosen(document))
    return f"{counted(missing, 'invocation')} without events not drawn" if missing else None
