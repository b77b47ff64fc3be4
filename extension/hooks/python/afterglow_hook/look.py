"""The two looks: when the handler has returned and answered, and when the next invocation enters.

In: the registry (``origins``), frames and thread clocks. Out: new pieces of lingering work, and updates of the
open ones. The first look runs after the response has gone to the caller, so it adds nothing to its latency.
Evidence, not presence: what merely waits for work stays unmentioned until it takes CPU in the gap.
"""

from __future__ import annotations

import time

from afterglow_hook import alarms, current, origins, tasks, threads, wire
from afterglow_hook.piles import heaps as heaps  # noqa: PLC0414 - a look's last step, for ``bootstrap``
from afterglow_hook.threads import MOST_LOOKED_AT
from afterglow_hook.threads import clocks as clocks  # noqa: PLC0414 - a look's first step, for ``bootstrap``
from afterglow_hook.waits import process_alive
from afterglow_hook.work import JobsWork, ProcessWork, Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from afterglow_hook.origins import Origin

MOST_OPEN = 200

open_works: dict[int, Work] = {}
unlooked = 0
"""Entries past MOST_LOOKED_AT or MOST_OPEN, which nobody looked at; reported as a loss."""


def updates() -> list[list[Any]]:
    """Return [id, cpu, moved] of each open piece of work, and drop those that have ended."""
    if not open_works:
        return []
    found = [(work, work.update()) for work in list(open_works.values())]
    for work, update in found:
        if update is None:
            del open_works[work.id]
            work.release()
    return [update for _, update in found if update is not None]


def after_return(before: dict[int, int | None]) -> list[Work]:
    """Return the work that this invocation, or one before it, has just been found to leave behind.

    ``before`` holds the CPU clocks of threads when the handler returned (see ``clocks``).
    """
    now_ns = time.monotonic_ns()
    found: list[Work] = []
    for scan in (
        threads.left(now_ns, before),
        _jobs(now_ns),
        tasks.left(now_ns),
        tasks.handed_over(now_ns),
        _processes(now_ns),
        alarms.left(now_ns),
    ):
        found += _bounded(scan)
    return found


def _bounded(scan: Iterator[Work]) -> list[Work]:
    global unlooked  # noqa: PLW0603 - a count that belongs to this module
    found = []
    for work in scan:
        if len(open_works) >= MOST_OPEN:
            if not work.whose().refused:
                work.whose().refused = True  # counted once, however many looks find no room for it
                unlooked += work.jobs
            work.over = True
            work.release()  # a later look finds it again, when there is room
            continue
        open_works[work.id] = work
        found.append(work)
    return found


def _jobs(now_ns: int) -> Iterator[Work]:
    groups: dict[tuple[Any, ...], list[tuple[Origin, Any]]] = {}
    for key, origin in list(origins.jobs.items())[:MOST_LOOKED_AT]:
        future = origin.ref() if origin.ref is not None else None
        if future is None or origin.request_id is None or origin.work is not None:
            continue
        done = getattr(future, "done", None) or future.ready
        if done():
            origins.jobs.pop(key, None)
            continue
        groups.setdefault((origin.executor, origin.site, origin.request_id, origin.name), []).append((origin, future))
    for members in groups.values():
        running = sum(bool(getattr(future, "running", bool)()) for _, future in members)
        state = f"{running} running, {len(members) - running} queued" if running else f"{len(members)} queued"
        if not hasattr(members[0][1], "running"):
            state = f"{len(members)} unfinished"
        yield JobsWork([origin for origin, _ in members], state, now_ns, [future for _, future in members])


def _processes(now_ns: int) -> Iterator[Work]:
    for pid, origin in list(origins.processes.items())[:MOST_LOOKED_AT]:
        if not process_alive(pid, origin.born):
            origins.processes.pop(pid, None)
        elif origin.request_id is not None and origin.work is None:
            yield ProcessWork(origin, "running", now_ns, pid)


def at_entry() -> list[Work]:
    """Return what threads have done since, of which nothing was known: woken by the thaw, or never idle at all."""
    return _bounded(threads.woken())


def tell_late_job(origin: Origin, future: Any) -> None:
    """Tell of a job that was given after the return, as it is given: what was left behind begets more."""
    if len(open_works) >= MOST_OPEN:
        return
    work = JobsWork([origin], "begun after the return", current.left_ns, [future])
    open_works[work.id] = work
    wire.send({"t": "found", "new": [work.announcement()], "lost": []})
    work.tell_end()


def take_unlooked() -> int:
    """Return how many entries nobody has looked at since the last call."""
    global unlooked
    count, unlooked, origins.overflowed = unlooked + origins.overflowed, 0, 0
    return count


def forget_all() -> None:
    """In a forked child: the work is the parent's."""
    open_works.clear()
