"""One open piece of lingering work, of each kind, and how to tell what has become of it.

In: an Origin that gave evidence. Out: the dictionary that announces it, then updates, until it has ended.
Its CPU counts from the look that found it; times are CLOCK_MONOTONIC and thread CPU clocks, in nanoseconds.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref

from afterglow_hook import origins, wire
from afterglow_hook.callsite import spelled
from afterglow_hook.waits import IDLE, LOCKED, process_alive, task_state, thread_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from afterglow_hook.origins import Origin

PUTTING_AWAY_NS = 1_000_000
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
                "jobs": self.jobs, "pid": self.pid}  # fmt: skip

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

    def end(self, at_ns: int, cpu_clock_ns: int | None = None) -> None:
        """Tell the extension at once that it has ended; called in whatever thread ends it."""
        if not self.over:
            self.over = True
            self.ending = {"t": "ended", "w": self.id, "at": at_ns, "cpu": self.cpu_ns(cpu_clock_ns)}
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
    """A thread or a timer; its end is noted by the thread itself."""

    def __init__(self, origin: Origin, state: str, at_ns: int, thread: threading.Thread) -> None:
        self.thread = thread
        super().__init__(origin, state, at_ns)
        self.cpu_seen_ns = self.cpu_at_start_ns

    def read_cpu_ns(self) -> int | None:
        """Return the thread's own clock."""
        return thread_cpu_ns(self.thread.native_id)

    def alive(self) -> bool:
        """Look whether the thread still runs, and has not gone back to waiting for work.

        When it has, and took next to no CPU for it, it had been putting things away while the handler returned:
        a log queue's listener, a worker that had just handed over its result. Then it ends where it was found.
        """
        if not self.thread.is_alive():
            return False
        if self.origin.what == "timer":
            return True
        cpu_ns, before_ns = self.read_cpu_ns(), self.cpu_seen_ns
        self.cpu_seen_ns = cpu_ns
        frame = sys._current_frames().get(self.thread.ident or 0)
        state = thread_state(frame, self.thread.native_id)
        if state != IDLE and not (state == LOCKED and cpu_ns == before_ns):
            return True
        if (self.cpu_ns() or 0) < PUTTING_AWAY_NS:
            self.end(self.at_ns)
        return False


class JobsWork(Work):
    """Jobs that one invocation gave to one executor at one place, and that were not done when it returned."""

    def __init__(self, origin: Origin, state: str, at_ns: int, futures: list[Any]) -> None:
        self.futures = set(futures)  # those that are not done: the results of the others are the user's alone
        self.jobs = len(futures)
        super().__init__(origin, state, at_ns)
        for future in futures:
            callback = getattr(future, "add_done_callback", None)
            if callback is not None:
                callback(self._one_done)

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

    def __init__(self, origin: Origin, state: str, at_ns: int, task: Any, progress: int) -> None:
        self.task = weakref.ref(task)  # a loop that its user has dropped must be collected, with its sockets
        self.progress = progress
        super().__init__(origin, state, at_ns)
        loop = task.get_loop()
        try:
            if loop.is_running():
                loop.call_soon_threadsafe(task.add_done_callback, self._done)
            elif not loop.is_closed():
                task.add_done_callback(self._done)
        except RuntimeError:  # it has been closed in this moment
            pass

    def _done(self, _task: Any) -> None:
        self.end(time.monotonic_ns())

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
        return task is not None and not task.done()

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
        super().__init__(origin, state, at_ns)

    def alive(self) -> bool:
        """Look whether the child still runs."""
        return self.pid is not None and process_alive(self.pid, self.origin.born)
