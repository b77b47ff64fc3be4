"""The two looks: when the handler has returned and answered, and when the next invocation enters.

In: the registry (``origins``), frames and thread clocks. Out: new pieces of lingering work, and updates of the
open ones. The first look runs after the response has gone to the caller, so it adds nothing to its latency.
Evidence, not presence: what merely waits for work stays unmentioned until it takes CPU in the gap.
"""

from __future__ import annotations

import sys
import threading
import time

from afterglow_hook import origins
from afterglow_hook.waits import IDLE, LOCKED, RUNNING, STANDING, place_of, process_alive, task_state, thread_state
from afterglow_hook.work import CoroutineWork, JobsWork, ProcessWork, TaskWork, ThreadWork, Work, thread_cpu_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from afterglow_hook.origins import Origin

MOVED_NS = 5_000_000
"""CPU in the gap that makes a finding of a thread that had looked idle: more than draining a log queue takes."""
MOVES = 2
"""Gaps in a row with as much CPU that make a finding of a thread that waits again where it waited before."""
BURNING_NS = 300_000
"""CPU between the return and the look that shows that a thread works on, and does not just put things away."""
MOST_OPEN = 200
MOST_LOOKED_AT = 2_000

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
            work.origin.work = None
    return [update for _, update in found if update is not None]


def after_return(before: dict[int, int | None]) -> list[Work]:
    """Return the work that this invocation, or one before it, has just been found to leave behind.

    ``before`` holds the CPU clocks of threads when the handler returned (see ``clocks``).
    """
    now_ns = time.monotonic_ns()
    found: list[Work] = []
    for scan in (_threads(now_ns, before), _jobs(now_ns), _tasks(now_ns), _handed_over(now_ns), _processes(now_ns)):
        found += _bounded(scan)
    return found


def _bounded(scan: Iterator[Work]) -> list[Work]:
    global unlooked  # noqa: PLW0603 - a count that belongs to this module
    found = []
    for work in scan:
        if len(open_works) >= MOST_OPEN:
            unlooked += 1
            break
        open_works[work.id] = work
        found.append(work)
    return found


def clocks() -> dict[int, int | None]:
    """Return the CPU clocks of the threads that an invocation has started, at the moment of the return."""
    return {
        id(thread): thread_cpu_ns(thread.native_id)
        for thread in _others()
        if _requested(origins.threads.get(id(thread)))
    }


def _requested(origin: Origin | None) -> bool:
    return origin is not None and origin.what != "pool" and origin.work is None and origin.request_id is not None


def _others() -> list[threading.Thread]:
    active = threading._active  # type: ignore[attr-defined]
    if len(active) < 2:
        return []
    me = threading.get_ident()
    return [thread for ident, thread in list(active.items()) if ident != me][:MOST_LOOKED_AT]


def _threads(now_ns: int, before: dict[int, int | None]) -> Iterator[Work]:
    others = _others()
    frames = sys._current_frames() if others else {}
    # Our own frame holds ``frames``: with it in there, a cycle would keep every thread's locals until the next gc.
    frames.pop(threading.get_ident(), None)
    for thread in others:
        origin = origins.threads.get(id(thread))
        if origin is None or origin.what == "pool" or origin.work is not None:
            continue
        tid, frame = thread.native_id, frames.get(thread.ident or 0)
        origin.cpu_ns, origin.place = thread_cpu_ns(tid), place_of(frame)[0]
        if origin.request_id is None:
            continue  # a worker of the module's own: evidence is what it does in the gap
        state = _timer_state(thread, frame) or thread_state(frame, tid)
        if state == LOCKED and _burned_ns(origin.cpu_ns, before.get(id(thread))) >= BURNING_NS:
            state = RUNNING  # waits for the interpreter's lock, and burns CPU whenever it gets it
        if state not in (IDLE, LOCKED):
            yield ThreadWork(origin, state, now_ns, thread)


def _burned_ns(now_ns: int | None, before_ns: int | None) -> int:
    return 0 if now_ns is None or before_ns is None else now_ns - before_ns


def _timer_state(thread: threading.Thread, frame: Any) -> str | None:
    if not isinstance(thread, threading.Timer):
        return None
    waiting = frame is None or thread_state(frame, None) == IDLE
    if waiting and not thread.finished.is_set():
        interval_s = thread.interval  # None: until somebody sets ``finished``
        return f"waiting for its {interval_s:g} s to pass" if isinstance(interval_s, (int, float)) else "waiting"
    return None


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
        work = JobsWork(members[0][0], state, now_ns, [future for _, future in members])
        for origin, _ in members:
            origin.work = work
        yield work


def _tasks(now_ns: int) -> Iterator[Work]:
    for key, origin in list(origins.tasks.items())[:MOST_LOOKED_AT]:
        task = origin.ref() if origin.ref is not None else None
        if task is None or task.done():
            origins.tasks.pop(key, None)
            continue
        if origin.request_id is None or origin.work is not None:
            continue
        state, progress = task_state(task.get_coro())
        if state != IDLE:
            where = "a running loop" if task.get_loop().is_running() else "a stopped loop"
            yield TaskWork(origin, f"pending in {where}, {state}", now_ns, task, progress)


def _handed_over(now_ns: int) -> Iterator[Work]:
    for origin in list(origins.handed_over.values())[:MOST_LOOKED_AT]:
        coroutine = origin.ref() if origin.ref is not None else None
        if coroutine is not None and origin.work is None and origin.request_id is not None:
            yield CoroutineWork(origin, "handed to a loop in another thread", now_ns, coroutine)


def _processes(now_ns: int) -> Iterator[Work]:
    for pid, origin in list(origins.processes.items())[:MOST_LOOKED_AT]:
        if not process_alive(pid, origin.born):
            origins.processes.pop(pid, None)
        elif origin.request_id is not None and origin.work is None:
            yield ProcessWork(origin, "running", now_ns, pid)


def at_entry() -> list[Work]:
    """Return threads that had looked idle and took CPU since: woken by the thaw, or never idle at all."""
    now_ns = time.monotonic_ns()
    return _bounded(_moved_threads(now_ns))


def _moved_threads(now_ns: int) -> Iterator[Work]:
    """CPU alone is no evidence of work: on a loaded machine, clocks charge a thread that only looks up with more.

    So it must have got elsewhere, too; or, where it stands still at the same place, have done so in the gap before.
    """
    for thread in _others():
        origin = origins.threads.get(id(thread))
        if origin is None or origin.what == "pool" or origin.work is not None or origin.cpu_ns is None:
            continue
        cpu_ns = thread_cpu_ns(thread.native_id)
        if cpu_ns is None or cpu_ns - origin.cpu_ns < MOVED_NS:
            origin.moves = 0
            continue
        origin.moves += 1
        if origin.moves >= MOVES or not _stands_where_it_did(thread, origin):
            work = ThreadWork(origin, "looked idle, then ran on", now_ns, thread)
            work.cpu_at_start_ns = origin.cpu_ns
            yield work


def _stands_where_it_did(thread: threading.Thread, origin: Origin) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    place, waits = place_of(frame)
    return place == origin.place and (waits or thread_state(frame, thread.native_id) in STANDING)


def take_unlooked() -> int:
    """Return how many entries nobody has looked at since the last call."""
    global unlooked
    count, unlooked, origins.overflowed = unlooked + origins.overflowed, 0, 0
    return count


def forget_all() -> None:
    """In a forked child: the work is the parent's."""
    open_works.clear()
