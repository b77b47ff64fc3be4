"""One open piece of lingering work, of each kind, and how to tell what has become of it.

In: an Origin that gave evidence. Out: the dictionary that announces it, then updates, until it has ended.
Its CPU counts from the look that found it; times are CLOCK_MONOTONIC and thread CPU clocks, in nanoseconds.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref

from afterglow_hook import current, origins, wire
from afterglow_hook.batches import lying_about
from afterglow_hook.callsite import spelled
from afterglow_hook.handoffs import still_lies, waiting_since
from afterglow_hook.holding import settle
from afterglow_hook.loops import module_of, runs_for_ever
from afterglow_hook.sockets import TICK_NS, awaited_ms
from afterglow_hook.waits import (
    IDLE,
    IO,
    LOCKED,
    RUNNING,
    SLEEPING,
    is_idle_code,
    process_alive,
    process_cpu_ns,
    state_in,
    system_call,
    task_state,
    thread_state,
    timeout_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from afterglow_hook.acts import Act
    from afterglow_hook.buffers import Buffer
    from afterglow_hook.handoffs import Handoff
    from afterglow_hook.origins import Origin

WAITING_ONCE = "waiting for at most"
PUTTING_AWAY_NS = 1_000_000
MOVED_NS = 50_000
"""CPU between two looks that shows that a thread has gone on; being thawed in a system call takes less."""
SETTLED_NS = 10_000_000
"""A thread that was started so shortly before it was found had not come to what it was started for."""
_last_id = 0


def thread_cpu_ns(tid: int | None) -> int | None:
    """Return the CPU clock of a thread of this process; None when it has ended.

    By kernel thread id (the clock id that pthread_getcpuclockid(3) would compute): asking glibc for a thread
    that has just ended may crash the process, the kernel answers EINVAL.
    """
    if tid is None:
        return None
    try:
        return time.clock_gettime_ns((~tid << 3) | 6)
    except OSError:
        return None


class Work:
    """What all kinds share: announced once, polled at each look, ended once."""

    jobs = 1
    pid: int | None = None
    worker: str | None = None
    """The module whose thread lives on, and does this among other work; None: what ends when this is done."""
    burned_ns: int | None = None
    """A process: its CPU when it was found."""

    def __init__(self, origin: Origin, state: str, at_ns: int) -> None:
        global _last_id  # noqa: PLW0603 - ids are this module's
        _last_id += 1
        self.id = _last_id
        self.origin = origin
        self.state = state
        self.at_ns = at_ns
        self.over = False
        self.announced = False
        self.ending: dict[str, Any] | None = None
        self.cpu_at_start_ns = self.read_cpu_ns()
        origin.work = self

    def announcement(self) -> dict[str, Any]:
        """Return the fact that tells the extension of it."""
        origin = self.origin
        return {"w": self.id, "what": origin.what, "name": origin.name, "site": spelled(origin.site),
                "id": origin.request_id, "n": origin.index, "state": self.state, "at": self.at_ns,
                "jobs": self.jobs, "pid": self.pid, "worker": self.worker, "burned": self.burned_ns}  # fmt: skip

    def read_cpu_ns(self) -> int | None:
        """Return the CPU clock that this work burns; None where it has none of its own."""
        return None

    def cpu_ns(self, now: int | None = None) -> int | None:
        """Return the CPU since it was found."""
        now = self.read_cpu_ns() if now is None else now
        return None if now is None or self.cpu_at_start_ns is None else now - self.cpu_at_start_ns

    def alive(self) -> bool:
        """Look whether it still goes on."""
        raise NotImplementedError

    def moved(self) -> bool:
        """Return whether being alive means that it goes on now: false for a task whose loop has stopped."""
        return True

    def whose(self) -> Origin:
        """Return what it was found by."""
        return self.origin

    def release(self) -> None:
        """Let go of what it was found by, which may become another piece of work."""
        self.origin.work = None

    def is_putting_away(self, cpu_ns: int | None) -> bool:
        """Return whether what it has done since it was found is not worth a word, whenever it was done."""
        del cpu_ns
        return False

    def end(self, at_ns: int, cpu_clock_ns: int | None = None, *, since_ns: int | None = None) -> None:
        """Tell the extension at once that it has ended; called in whatever thread ends it.

        ``since_ns``: it may have ended at any time since then; the extension knows of freezes that lie between.
        """
        if not self.over and self.is_putting_away(self.cpu_ns(cpu_clock_ns)):
            at_ns, since_ns = self.at_ns, None
        if not self.over:
            self.over = True
            self.ending = {"t": "ended", "w": self.id, "at": at_ns, "cpu": self.cpu_ns(cpu_clock_ns)}
            if since_ns is not None:
                self.ending["since"] = since_ns
            if self.announced:
                wire.send(self.ending)

    def tell_end(self) -> None:
        """Note that it has been announced; what ended before that can be told only now.

        Should it end in another thread at this very moment, it is told twice: the extension takes the first.
        """
        self.announced = True
        if self.ending is not None:
            wire.send(self.ending)

    def update(self) -> list[Any] | None:
        """Return [id, cpu, moved] while it lives; None when it is over (and then has said so)."""
        if not self.over and not self.alive():
            self.end(time.monotonic_ns())
        return None if self.over else [self.id, self.cpu_ns(), self.moved()]


class ThreadWork(Work):
    """A thread or a timer; its end is noted by the thread itself.

    ``origin`` is whose work it is; where others have started the thread, ``started`` is the thread's own.
    """

    def __init__(
        self, origin: Origin, state: str, at_ns: int, thread: threading.Thread, started: Origin | None = None
    ) -> None:
        self.thread = thread
        self.started = started or origin
        super().__init__(origin, state, at_ns)
        self.started.work = self
        self.cpu_seen_ns = self.cpu_told_ns = self.cpu_at_start_ns
        self.alive_ns = at_ns  # when it was last known to go on
        frame = self.frame()
        if runs_for_ever(frame):
            self.worker = module_of(frame)

    def whose(self) -> Origin:
        """Return the thread's own origin."""
        return self.started

    def release(self) -> None:
        """Let another piece of work become of the thread."""
        self.origin.work = self.started.work = None

    def frame(self) -> FrameType | None:
        """Return the thread's innermost frame."""
        return sys._current_frames().get(self.thread.ident or 0)

    def read_cpu_ns(self) -> int | None:
        """Return the thread's own clock."""
        return thread_cpu_ns(self.thread.native_id)

    def alive(self) -> bool:
        """Look whether the thread still runs, and has not gone back to waiting for work, or for its time to come."""
        if not self.thread.is_alive():
            return False
        if self.origin.what == "timer":
            return True
        now_ns, cpu_ns, before_ns = time.monotonic_ns(), self.read_cpu_ns(), self.cpu_seen_ns
        self.cpu_seen_ns = cpu_ns
        if self.state == IO and self._asks_again(now_ns):
            self.end(now_ns, since_ns=self.alive_ns)
            return False
        if self._is_at_rest(self.frame(), moved=cpu_ns != before_ns):
            self._end_at_rest(now_ns)
            return False
        self.alive_ns = now_ns
        return True

    def moved(self) -> bool:
        """Return whether it has taken CPU since the last look: waiting alone is no going on."""
        cpu_ns, before_ns = self.read_cpu_ns(), self.cpu_told_ns
        self.cpu_told_ns = cpu_ns
        return cpu_ns is None or before_ns is None or cpu_ns - before_ns >= MOVED_NS

    def _asks_again(self, now_ns: int) -> bool:
        """Return whether the thread awaits an answer to something that it has sent after this was last seen."""
        ms = awaited_ms(system_call(self.thread.native_id or 0) or ())
        return ms is not None and now_ns - ms * 1e6 - TICK_NS > self.alive_ns

    def _is_at_rest(self, frame: FrameType | None, *, moved: bool) -> bool:
        if self.state.startswith((WAITING_ONCE, SLEEPING)) and not self.worker:
            return False  # it was found in a wait: over when it ends, or waits to be given work
        call = system_call(self.thread.native_id or 0) if frame is not None else ()
        state = IDLE if frame is not None and is_idle_code(frame.f_code) else state_in(call)
        if state == LOCKED:
            return not moved
        if self.worker is None:
            return state == IDLE
        waits_to_hear = state == IO and bool(call) and awaited_ms(call or ()) is None
        return state in (IDLE, SLEEPING) or waits_to_hear

    def is_putting_away(self, cpu_ns: int | None) -> bool:
        """Return whether it was caught on its way out, or back to rest: a log queue's listener, a pool's worker.

        It had been there for a while, was in no wait, and took next to no CPU from then on.
        """
        settled = self.at_ns - self.started.begun_ns > SETTLED_NS
        return self.state == RUNNING and settled and (cpu_ns or 0) < PUTTING_AWAY_NS

    def _end_at_rest(self, now_ns: int) -> None:
        """Say when it went back to rest, as well as that is known."""
        rested_ns = waiting_since.get(self.thread.ident or 0, 0)
        if rested_ns > self.at_ns:
            self.end(rested_ns)
        else:
            self.end(now_ns, since_ns=self.alive_ns)


class HandedWork(ThreadWork):
    """What one invocation gave to a thread that lives on; it ends when the thread has done it."""

    def __init__(self, started: Origin, handoff: Handoff, state: str, at_ns: int, thread: threading.Thread) -> None:
        origin = origins.Origin(started.what, started.name, handoff.site, (handoff.request_id, handoff.index))
        before = started.work
        self.handoff = handoff
        handoff.work = self
        super().__init__(origin, state, at_ns, thread, started)
        started.work = before  # the thread may have other work at the same time
        self.worker = self.worker or module_of(self.frame())
        self.jobs = max(1, handoff.queued + (handoff.left_ns is None and bool(handoff.taken)))

    def release(self) -> None:
        """Let more that is given from the same line become work of its own."""
        self.origin.work = None
        if self.handoff.work is self:
            self.handoff.work = None

    def alive(self) -> bool:
        """Look whether the thread still has it in hand."""
        if not self.thread.is_alive():
            return False
        if self.handoff in settle(self.thread, self.frame()) or self.handoff.queued:
            return True
        self.end(max(self.at_ns, self.handoff.left_ns or time.monotonic_ns()))
        return False

    def may_be_over(self, wait: FrameType) -> None:
        """Take notice, in its own thread, that the thread begins to wait for more: ``wait`` is threading's frame."""
        ids = self.handoff.ids
        if not self.handoff.queued and (not ids or timeout_of(wait) is None or not still_lies(ids, lying_about(wait))):
            self.end(time.monotonic_ns())

    def is_putting_away(self, cpu_ns: int | None) -> bool:
        """Return whether the thread was only woken to look, found nothing to do, and went back to its wait."""
        nothing_taken = not self.handoff.taken and not self.handoff.queued
        return nothing_taken and self.state not in (IO, SLEEPING) and (cpu_ns or 0) < PUTTING_AWAY_NS


class BufferedWork(ThreadWork):
    """What one invocation put into a buffer that a thread empties in its own time; over when it is out of there."""

    def __init__(self, started: Origin, buffer: Buffer, ids: set[int], at_ns: int, thread: threading.Thread) -> None:
        giver = current.request_id, current.index
        before = started.work
        self.buffer = buffer
        self.ids = ids
        super().__init__(
            origins.Origin(started.what, started.name, started.site, giver), "in a buffer", at_ns, thread, started
        )
        started.work = before  # the thread itself is at rest
        self.worker = self.worker or module_of(self.frame())
        self.jobs = len(ids)

    def release(self) -> None:
        """Leave the thread as it is."""
        self.origin.work = None

    def alive(self) -> bool:
        """Look whether any of it still lies there."""
        now_ns = time.monotonic_ns()
        if self.thread.is_alive() and not self.ids.isdisjoint(self.buffer.elements()):
            self.alive_ns = now_ns
            return True
        self.end(now_ns, since_ns=self.alive_ns)
        return False


class ActedWork(ThreadWork):
    """What a thread did when its time had come, in the invocation of somebody else."""

    def __init__(self, started: Origin, act: Act, rest: str, thread: threading.Thread) -> None:
        origin = origins.Origin(started.what, act.name or started.name, act.site or started.site, act.giver)
        super().__init__(origin, rest, act.left_ns, thread, started)
        self.worker = self.worker or module_of(self.frame())
        self.alive_ns = act.at_ns
        self.cpu_at_start_ns = started.cpu_ns

    def _is_at_rest(self, frame: FrameType | None, *, moved: bool) -> bool:
        del moved
        state = thread_state(frame, self.thread.native_id)
        return state in (IDLE, SLEEPING)

    def _end_at_rest(self, now_ns: int) -> None:
        rested_ns = waiting_since.get(self.thread.ident or 0, 0)
        self.end(rested_ns if rested_ns > self.alive_ns else self.alive_ns)
        del now_ns


class JobsWork(Work):
    """Jobs that one invocation gave to one executor at one place, and that were not done when it returned."""

    def __init__(self, members: list[Origin], state: str, at_ns: int, futures: list[Any]) -> None:
        self.members = members
        self.futures = set(futures)  # those that are not done: the results of the others are the user's alone
        self.jobs = len(futures)
        super().__init__(members[0], state, at_ns)
        for origin in members:
            origin.work = self
        for future in futures:
            callback = getattr(future, "add_done_callback", None)
            if callback is not None:
                callback(self._one_done)

    def release(self) -> None:
        """Let go of every job."""
        for origin in self.members:
            origin.work = None

    def _one_done(self, future: Any) -> None:
        self.futures.discard(future)
        if not self.futures:
            self.end(time.monotonic_ns())

    def read_cpu_ns(self) -> int | None:
        """Sum over the executor's threads; None for a pool of processes."""
        crew = self.origin.executor
        active = list(threading._active.values())  # type: ignore[attr-defined]
        mine = [thread for thread in active if getattr(origins.threads.get(id(thread)), "executor", None) is crew]
        ended_ns = crew.ended_cpu_ns if crew is not None else 0
        if crew is None or not (mine or ended_ns):
            return None
        return ended_ns + sum(thread_cpu_ns(thread.native_id) or 0 for thread in mine)

    def alive(self) -> bool:
        """Look whether any of the jobs is not done."""
        return any(not _is_done(future) for future in list(self.futures))


def _is_done(future: Any) -> bool:
    """Future.done() or AsyncResult.ready()."""
    done = getattr(future, "done", None) or future.ready
    return bool(done())


class TaskWork(Work):
    """An asyncio task, pending in a loop that has stopped or that runs in another thread."""

    def __init__(
        self,
        origin: Origin,
        state: str,
        at_ns: int,
        task: Any,
        progress: int,
        *,
        started: Origin,
        worker: str | None = None,
    ) -> None:
        self.task = weakref.ref(task)  # a loop that its user has dropped must be collected, with its sockets
        self.progress = progress
        self.worker = worker
        self.started = started  # the task's own; ``origin`` is of who has set it to this
        self.alive_ns = at_ns
        super().__init__(origin, state, at_ns)
        started.work = self
        if not started.awaited:
            started.awaited = True
            self._await_end(task)

    def whose(self) -> Origin:
        """Return the task's own origin."""
        return self.started

    def release(self) -> None:
        """Let another piece of work become of the task."""
        self.origin.work = self.started.work = None

    def _await_end(self, task: Any) -> None:
        """Have the task's end told at once: of whatever piece of work it is by then."""
        loop, started = task.get_loop(), self.started

        def done(_task: Any) -> None:
            if started.work is not None:
                started.work.end(time.monotonic_ns())

        try:
            if loop.is_running():
                loop.call_soon_threadsafe(task.add_done_callback, done)
            elif not loop.is_closed():
                task.add_done_callback(done)
        except RuntimeError:  # it has been closed in this moment
            pass

    def read_cpu_ns(self) -> int | None:
        """Return the CPU of the loop's thread: nothing tells one task's share apart."""
        task = self.task()
        loop = task.get_loop() if task is not None else None
        thread = threading._active.get(getattr(loop, "_thread_id", None))  # type: ignore[attr-defined]
        return thread_cpu_ns(thread.native_id) if thread is not None else None

    def alive(self) -> bool:
        """Look whether the task is not done; destroyed while it was pending, it never ends: it is lost."""
        task = self.task()
        if task is None:
            self.over = True
            return False
        now_ns = time.monotonic_ns()
        if self.worker is not None and not task.done() and task_state(task.get_coro())[0] in (IDLE, SLEEPING):
            self.end(now_ns, since_ns=self.alive_ns)
            return False
        self.alive_ns = now_ns
        return not task.done()

    def moved(self) -> bool:
        """Return whether its loop runs, or it has got further since the last look."""
        task = self.task()
        if task is None:
            return False
        progress = task_state(task.get_coro())[1]
        moved, self.progress = progress != self.progress, progress
        return moved or bool(task.get_loop().is_running())


class CoroutineWork(Work):
    """A coroutine that was handed to a loop in another thread, which has not made a task of it yet."""

    def __init__(self, origin: Origin, state: str, at_ns: int, coroutine: Any) -> None:
        self.coroutine = weakref.ref(coroutine)
        super().__init__(origin, state, at_ns)

    def follow(self, task: Any) -> None:
        """Take notice of the task; called in the loop's thread, where that is allowed."""
        task.add_done_callback(lambda _: self.end(time.monotonic_ns()))

    def alive(self) -> bool:
        """Look whether it can still run; a coroutine that nobody has any more is lost."""
        coroutine = self.coroutine()
        if coroutine is None:
            self.over = True
        return coroutine is not None and coroutine.cr_frame is not None


class ProcessWork(Work):
    """A child process; the extension reads its CPU from /proc."""

    def __init__(self, origin: Origin, state: str, at_ns: int, pid: int) -> None:
        self.pid = pid
        self.alive_ns = at_ns
        self.burned_ns = process_cpu_ns(pid)
        super().__init__(origin, state, at_ns)

    def alive(self) -> bool:
        """Look whether the child still runs; one that has ended and that nobody has waited for does not."""
        if self.pid is not None and process_alive(self.pid, self.origin.born):
            self.alive_ns = time.monotonic_ns()
            return True
        self.end(time.monotonic_ns(), since_ns=self.alive_ns)
        return False
