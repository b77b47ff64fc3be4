"""What each asyncio task was left with when the handler returned. In: the tasks that were seen to start. Out: works.

A task that an invocation made is work until it is done. One that goes round in an endless loop serves the environment:
it is work while it does what an invocation has set it to, as far as that can be seen.
"""

from __future__ import annotations

from afterglow_hook import current, origins, sockets
from afterglow_hook.loops import in_endless_loop
from afterglow_hook.waits import IDLE, SLEEPING, coroutines_of, task_state
from afterglow_hook.work import CoroutineWork, TaskWork, Work

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MOST_LOOKED_AT = 2_000


def left(now_ns: int) -> Iterator[Work]:
    """Yield what tasks have been left with."""
    for key, origin in list(origins.tasks.items())[:MOST_LOOKED_AT]:
        task = origin.ref() if origin.ref is not None else None
        if task is None or task.done():
            origins.tasks.pop(key, None)
            continue
        state, progress = task_state(task.get_coro())
        was_idle, origin.rest = origin.rest == IDLE, state
        moved, origin.place = progress != origin.place, progress
        if origin.work is not None or state == IDLE:
            continue
        where = "a running loop" if task.get_loop().is_running() else "a stopped loop"
        worker = _worker_of(task)
        if origin.request_id is not None and worker is None:
            yield TaskWork(origin, f"pending in {where}, {state}", now_ns, task, progress, started=origin)
        elif state != SLEEPING and moved and (was_idle or awaits_answer(task.get_loop(), now_ns)):
            giver = origins.Origin(origin.what, origin.name, origin.site, (current.request_id, current.index))
            yield TaskWork(
                giver, f"pending in {where}, {state}", now_ns, task, progress, started=origin, worker=worker or ""
            )


def _worker_of(task: Any) -> str | None:
    """Return the module of a task that goes round for ever; None of one that has an end."""
    frames = coroutines_of(task)
    if not frames or not in_endless_loop(frames[0], is_target=True):
        return None  # what it awaits may well go round: a stream that is read to its end
    return str(frames[0].f_globals.get("__name__"))


def awaits_answer(loop: Any, now_ns: int) -> bool:
    """Return whether any of a loop's connections awaits an answer to what it has sent since the handler was entered."""
    selector = getattr(loop, "_selector", None)
    try:
        descriptors = [key.fd for key in list(selector.get_map().values())] if selector is not None else []
    except (AttributeError, RuntimeError, KeyError):  # closed, or changed in this moment
        return False
    waits = [ms for fd in descriptors[: sockets.MOST_DESCRIPTORS] if (ms := sockets.unanswered_ms_of(fd)) is not None]
    return any(now_ns - ms * 1e6 > current.entered_ns - sockets.TICK_NS for ms in waits)


def handed_over(now_ns: int) -> Iterator[Work]:
    """Yield coroutines that were handed to a loop in another thread, which has not made tasks of them."""
    for origin in list(origins.handed_over.values())[:MOST_LOOKED_AT]:
        coroutine = origin.ref() if origin.ref is not None else None
        if coroutine is not None and origin.work is None and origin.request_id is not None:
            yield CoroutineWork(origin, "handed to a loop in another thread", now_ns, coroutine)
