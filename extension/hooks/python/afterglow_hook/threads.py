"""What each thread was left with when the handler returned, and what it did of its own accord later. Out: works.

In: threads with their origins, frames and CPU clocks. The rules, in their order (docs/findings.md has them in words):

1. What was handed to a thread and is still in hand is the work of who gave it, at the line that gave it.
2. A thread that this invocation started is work, unless it waits to be given some or goes round in an endless loop.
3. Any other is work while it awaits an answer to a request that it has begun since the handler was entered.
4. What a thread does after a wait with an end of its own, one that had begun before this invocation, is left over from
   whoever had woken it, else from the invocation before this one.
5. CPU that a thread takes between two looks is evidence only if there is a lot of it.
"""

from __future__ import annotations

import sys
import threading
import time

from afterglow_hook import acts, current, handoffs, origins, sockets, wire
from afterglow_hook.buffers import buffers_of
from afterglow_hook.holding import settle, state_with
from afterglow_hook.loops import runs_for_ever
from afterglow_hook.waits import (
    IDLE,
    IO,
    LOCKED,
    RUNNING,
    SLEEPING,
    STANDING,
    WAITING,
    is_idle_code,
    place_of,
    runs_asyncio,
    state_in,
    system_call,
    thread_state,
    timeout_of,
)
from afterglow_hook.work import WAITING_ONCE, ActedWork, BufferedWork, HandedWork, ThreadWork, Work, thread_cpu_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import Any

    from afterglow_hook.origins import Origin

MOVED_NS = 5_000_000
"""CPU in the gap that makes a finding of a thread that had looked idle: more than draining a log queue takes."""
MOVES = 2
"""Gaps in a row with as much CPU that make a finding of a thread that waits again where it waited before."""
BURNING_NS = 300_000
"""CPU between the return and the look that shows that a thread works on, and does not just put things away."""
GRACE_S, GRACES = 0.0002, 10
"""For a thread that is on its way, once per look: we hold the interpreter; what is over in no time is no finding."""
BURNS_NS = 20_000_000
"""A thread that has taken so much CPU since the entry computes, and would not be done in a moment."""
MOST_LOOKED_AT = 2_000
HOUSEKEEPERS = (
    "pymongo",
    "sentry_sdk.monitor",
    "kafka.coordinator",
    "kazoo",
    "paho",
    "trio",
    "loky",
    "joblib",
    "psycopg_pool",
)
"""Modules whose threads look after connections and workers, and carry nothing of the user's by themselves."""


_carrier = threading.main_thread()
_greenlets_told = False


def others() -> list[threading.Thread]:
    """Return the threads of this process but the current one."""
    active = threading._active  # type: ignore[attr-defined]
    if len(active) < 2 and not origins.raw_threads:
        return []
    me = threading.get_ident()
    found = [thread for ident, thread in list(active.items()) if ident != me and not _is_greenlet(thread)]
    return [*found, *_raw_threads()][:MOST_LOOKED_AT]


def _is_greenlet(thread: threading.Thread) -> bool:
    """Return whether gevent runs a thread as a greenlet: what the thread that carries it does is not its doing."""
    global _greenlets_told  # noqa: PLW0603 - told once
    if thread.native_id is None or thread.native_id != _carrier.native_id or thread is _carrier:
        return False
    if not _greenlets_told:
        _greenlets_told = True
        wire.send({"t": "unseen", "what": "thread", "why": "gevent runs them as greenlets"})
    return True


def _raw_threads() -> list[Any]:
    """Return the threads that ``threading`` does not know of; of those that have ended, nobody else takes notice."""
    if not origins.raw_threads:
        return []
    for ident, thread in list(origins.raw_threads.items()):
        if ident in threading._active or not thread.is_alive():  # type: ignore[attr-defined]
            del origins.raw_threads[ident]
            origins.threads.pop(id(thread), None)
    return list(origins.raw_threads.values())


def is_followed(origin: Origin | None) -> bool:
    """Return whether a thread is judged by itself: no pool's worker, no internal extension."""
    return origin is not None and origin.what != "pool" and not origin.is_extension


def clocks() -> dict[int, int | None]:
    """Return the CPU clocks of the threads that an invocation has started, at the moment of the return."""
    return {
        id(thread): thread_cpu_ns(thread.native_id)
        for thread, origin in _followed()
        if origin.work is None and origin.request_id is not None
    }


class Seen:
    """What is known of a thread, beside where it stands."""

    __slots__ = ("at_ns", "burned_ns", "is_new", "origin")

    def __init__(self, origin: Origin, at_ns: int, burned_ns: int, *, is_new: bool) -> None:
        self.origin = origin
        self.at_ns = at_ns
        self.burned_ns = burned_ns  # CPU since the handler's return
        self.is_new = is_new and origin.request_id is not None  # an invocation's, and not looked at before


# -- when the handler has returned ---------------------------------------------------------------------------


def left(now_ns: int, before: dict[int, int | None]) -> Iterator[Work]:
    """Yield what threads have been left with; ``before``: ``clocks`` at the return."""
    yield from _acted()
    if _stirring():
        _give_a_moment()
    frames: dict[int, FrameType] = {}
    for thread, origin in _followed():
        cpu_ns, ident = thread_cpu_ns(thread.native_id), thread.ident or 0
        has_rested, is_new = _has_rested(origin, cpu_ns), not origin.looked_ns
        origin.cpu_ns, origin.looked_ns = cpu_ns, now_ns
        if (not has_rested or handoffs.in_hand.get(ident)) and thread.is_alive():
            frames = frames or _frames()
            frame = frames.get(ident)
            origin.place = place_of(frame)[0]
            yield from _handed(origin, thread, frame, now_ns)
            if origin.work is None and not handoffs.in_hand.get(ident):
                burned_ns = _difference(cpu_ns, before.get(id(thread)))
                yield from _left_itself(thread, frame, Seen(origin, now_ns, burned_ns, is_new=is_new))
        if origin.buffers:
            yield from _buffered(origin, thread, now_ns)
    yield from _queued(now_ns)
    current.looked_ns = time.monotonic_ns()


def _followed() -> list[tuple[threading.Thread, Origin]]:
    """Return the threads that are judged by themselves, with where they come from."""
    known = origins.threads
    return [
        (thread, origin)
        for thread in others()
        if (origin := known.get(id(thread))) is not None and origin.what != "pool" and not origin.is_extension
    ]


def _stirring() -> list[threading.Thread]:
    """Return the threads that are on their way."""
    moved = [thread for thread, origin in _followed() if _has_moved(thread, origin)]
    frames = _frames() if moved else {}
    return [thread for thread in moved if _is_on_its_way(thread, frames.get(thread.ident or 0))]


def _frames() -> dict[int, FrameType]:
    """Return the innermost frame of each thread, by ident; not of the current one.

    Our own frame would hold the dictionary: a cycle, which would keep every thread's locals until the next gc.
    """
    frames = sys._current_frames()
    frames.pop(threading.get_ident(), None)
    return frames


def _has_rested(origin: Origin, cpu_ns: int | None) -> bool:
    """Return whether a thread has done nothing since the handler was entered."""
    return bool(origin.looked_ns) and cpu_ns == origin.entry_cpu_ns


def _left_itself(thread: threading.Thread, frame: FrameType | None, seen: Seen) -> Iterator[Work]:
    """Rules 2 and 3."""
    origin = seen.origin
    state = _left_with(thread, frame, seen)
    if state is not None:
        whose = origin if seen.is_new else _set_in_motion(origin)
        yield ThreadWork(whose, state, seen.at_ns, thread, origin)
    elif origin.buffers is None and frame is not None:
        _find_buffers(origin, frame)


def _find_buffers(origin: Origin, frame: FrameType) -> None:
    """Look, once, for what a thread sends when its time comes; what Init has put there is nobody's work."""
    if runs_for_ever(frame) and not _keeps_house(frame):
        origin.buffers = buffers_of(frame)
        if not current.running and current.index <= 1 and origin.request_id is None:
            for buffer in origin.buffers:
                buffer.new()


def _buffered(origin: Origin, thread: threading.Thread, now_ns: int) -> Iterator[Work]:
    """Rule 1, of what the handler has put into a buffer itself."""
    for buffer in origin.buffers or ():
        came = buffer.new()
        if came:
            yield BufferedWork(origin, buffer, came, now_ns, thread)


def _frame_of(thread: threading.Thread) -> FrameType | None:
    return sys._current_frames().get(thread.ident or 0)


def _give_a_moment() -> None:
    """Let threads get on that are on their way, until they wait again, burn CPU, or had their chance."""
    for _ in range(GRACES):
        time.sleep(GRACE_S)
        if not _stirring():
            return


def _has_moved(thread: threading.Thread, origin: Origin) -> bool:
    """Return whether a thread has done something since the entry, or has something in hand, and does not compute."""
    if origin.work is not None:
        return False
    cpu_ns = thread_cpu_ns(thread.native_id)
    if _has_rested(origin, cpu_ns) and not handoffs.in_hand.get(thread.ident or 0):
        return False
    return _difference(cpu_ns, origin.entry_cpu_ns or 0) < BURNS_NS


def _is_on_its_way(thread: threading.Thread, frame: FrameType | None) -> bool:
    """Return whether a thread is between two waits: begun, woken or just done, it wants the interpreter."""
    if not thread.is_alive() or (thread.ident or 0) in handoffs.waiting_since:
        return False
    if frame is None:
        return True
    state = thread_state(frame, thread.native_id)
    was_woken = state == IDLE and bool(handoffs.in_hand.get(thread.ident or 0))  # and has not got to run yet
    return was_woken or state in (RUNNING, LOCKED)


def _difference(now_ns: int | None, before_ns: int | None) -> int:
    return 0 if now_ns is None or before_ns is None else now_ns - before_ns


def _handed(origin: Origin, thread: threading.Thread, frame: FrameType | None, now_ns: int) -> Iterator[Work]:
    """Rule 1."""
    for handoff in settle(thread, frame):
        if handoff.request_id is None or (handoff.work is not None and not handoff.work.over):
            continue
        yield HandedWork(origin, handoff, state_with(thread, frame), now_ns, thread)


def _queued(now_ns: int) -> Iterator[Work]:
    """Rule 1, of what nobody has taken yet."""
    for handoff in handoffs.queued():
        if handoff.request_id is None or (handoff.work is not None and not handoff.work.over):
            continue
        thread = threading._active.get(handoff.holder)  # type: ignore[attr-defined]
        origin = origins.threads.get(id(thread))
        if origin is not None and is_followed(origin):
            yield HandedWork(origin, handoff, f"{handoff.queued} queued", now_ns, thread)


def _left_with(thread: threading.Thread, frame: FrameType | None, seen: Seen) -> str | None:
    """Return what a thread is left with, by rules 2 and 3; None: with nothing."""
    seen.origin.rest = None
    if timer := _timer_state(thread, frame):
        return timer
    if frame is None:
        return RUNNING if seen.is_new else None  # it has not begun yet
    if is_idle_code(frame.f_code):
        return _idle_with(frame, seen)
    call = system_call(thread.native_id or 0)
    state = state_in(call)
    if state == LOCKED and seen.burned_ns >= BURNING_NS:
        state = RUNNING  # waits for the interpreter's lock, and burns CPU whenever it gets it
    judge = {SLEEPING: _sleeping_with, RUNNING: _running_with}.get(state)
    if judge is not None:
        return judge(frame, seen)
    return _waiting_with(thread, frame, seen, call) if call and state != LOCKED else None


def _idle_with(frame: FrameType, seen: Seen) -> str | None:
    """Of a thread that waits in the standard library: one that waits once, with an end, has something to do then."""
    timeout = timeout_of(frame)
    if timeout is None:
        return None
    if seen.is_new and not runs_for_ever(frame):
        return f"{WAITING_ONCE} {timeout:.3g} s"
    seen.origin.rest = WAITING
    return None


def _sleeping_with(frame: FrameType, seen: Seen) -> str | None:
    """Of a thread that sleeps: one that does so again and again looks for something in between."""
    if seen.origin.request_id is None or runs_for_ever(frame):
        seen.origin.rest = SLEEPING
        return None
    return SLEEPING


def _running_with(frame: FrameType, seen: Seen) -> str | None:
    if seen.origin.request_id is None or (not seen.is_new and runs_for_ever(frame)):
        return None
    return RUNNING


def _waiting_with(thread: threading.Thread, frame: FrameType, seen: Seen, call: tuple[int, ...]) -> str | None:
    """Of a thread that the kernel lets wait: for an answer, for a message, for a child."""
    address = acts.runtime_api()
    if address is not None and sockets.talks_to(call, address):
        seen.origin.is_extension = True
        return None
    state = state_in(call)
    if state != IDLE and seen.is_new and not runs_for_ever(frame):
        return state
    if _keeps_house(frame) or _runs_loop(seen.origin, frame) or acts.last_method.get(thread.ident or 0) in acts.LOOKS:
        return None
    if acts.sent_ns.get(thread.ident or 0, 0) < current.entered_ns:
        return None  # what its connection has to answer may be the handler's own message, which needs no answer
    awaited_ms = sockets.awaited_ms(call)
    asked_since_entry = awaited_ms is not None and seen.at_ns - awaited_ms * 1e6 > current.entered_ns - sockets.TICK_NS
    return IO if asked_since_entry else None


def _keeps_house(frame: FrameType | None) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith(HOUSEKEEPERS):
            return True
        frame = frame.f_back
    return False


def _runs_loop(origin: Origin, frame: FrameType | None) -> bool:
    """Return whether a thread runs an event loop; of one in C, like uvloop's, only its name tells."""
    return origin.name.endswith("run_forever") or runs_asyncio(frame)


def _set_in_motion(origin: Origin) -> Origin:
    """Return whose work it is: who started the thread, or, where that was long ago, who has set it in motion now."""
    if origin.request_id is not None and origin.index == current.index:
        return origin
    return origins.Origin(origin.what, origin.name, origin.site, (current.request_id, current.index))


def _timer_state(thread: threading.Thread, frame: Any) -> str | None:
    if not isinstance(thread, threading.Timer) or type(thread).run is not threading.Timer.run:
        return None  # what has a ``run`` of its own goes its own way: again and again, mostly
    waiting = frame is None or is_idle_code(frame.f_code)
    if waiting and not thread.finished.is_set():
        interval_s = thread.interval  # None: until somebody sets ``finished``
        return f"waiting for its {interval_s:g} s to pass" if isinstance(interval_s, (int, float)) else "waiting"
    return None


# -- when the next invocation enters -------------------------------------------------------------------------


def woken() -> Iterator[Work]:
    """Yield what threads have done since the handler had returned, as far as nothing was known of it then."""
    if current.index == 1:
        _note_what_init_left()
    yield from _acted()
    yield from _moved()


def _note_what_init_left() -> None:
    """Look into the buffers of threads that Init has started: what lies there is not the first invocation's."""
    for thread, origin in _followed():
        frame = _frame_of(thread)
        if frame is not None:
            _find_buffers(origin, frame)


def _acted() -> Iterator[Work]:
    """Rule 4."""
    for act in acts.take():
        thread = threading._active.get(act.ident)  # type: ignore[attr-defined]
        origin = origins.threads.get(id(thread))
        if origin is None or not is_followed(origin) or origin.rest is None or origin.work is not None:
            continue
        rest, origin.rest = origin.rest, None
        if not act.slept_across or act.giver[0] is None or acts.was_sent_by_hand(act.host, act.giver[1]):
            continue
        if not _keeps_house(sys._current_frames().get(act.ident)):
            yield ActedWork(origin, act, rest, thread)


def _moved() -> Iterator[Work]:
    """Rule 5. On a loaded machine, clocks charge a thread that only looks up with more.

    So it must have got elsewhere, too; or, where it stands still at the same place, have done so in the gap before.
    """
    for thread, origin in _followed():
        cpu_ns = origin.entry_cpu_ns = thread_cpu_ns(thread.native_id)
        if origin.work is not None or origin.cpu_ns is None or handoffs.in_hand.get(thread.ident or 0):
            continue
        if cpu_ns is None or cpu_ns - origin.cpu_ns < MOVED_NS:
            origin.moves = 0
            continue
        if _runs_loop(origin, sys._current_frames().get(thread.ident or 0)):
            continue  # its tasks tell what it does
        origin.moves += 1
        if origin.moves >= MOVES or not _stands_where_it_did(thread, origin):
            work = ThreadWork(origin, "looked idle, then ran on", origin.looked_ns, thread)
            work.cpu_at_start_ns = origin.cpu_ns
            yield work


def _stands_where_it_did(thread: threading.Thread, origin: Origin) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    place, waits = place_of(frame)
    return place == origin.place and (waits or thread_state(frame, thread.native_id) in STANDING)
