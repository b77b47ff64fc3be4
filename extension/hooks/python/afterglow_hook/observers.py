"""Observers at the leaves of the standard library's own calls. In: starts of work. Out: ``origins``.

Each observer sits where the library calls something small and certain while it starts work (a set's ``add``,
a work item's constructor), so that an exception from the user's call never passes through a frame of ours.
Modules that are not imported yet get theirs when they are: importing asyncio for our sake would cost 50 ms.
"""

from __future__ import annotations

import _thread
import os
import sys
import threading
import time

from afterglow_hook import acts, bootstrap, current, handoffs, leaves, origins, wire
from afterglow_hook.callsite import MOST_FILES, site_of
from afterglow_hook.guard import guarded
from afterglow_hook.origins import Origin

TYPE_CHECKING = False  # importing typing for this constant would cost 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    from afterglow_hook.callsite import Site


# -- threads -------------------------------------------------------------------------------------------------


class _Limbo(dict):  # type: ignore[type-arg]
    """threading's own table of threads that are being started: the leaf of ``Thread.start``."""

    def __setitem__(self, thread: Any, value: Any) -> None:
        super().__setitem__(thread, value)
        note_thread(thread, sys._getframe(1))

    def __delitem__(self, thread: Any) -> None:
        super().__delitem__(thread)
        if not thread._started.is_set():
            note_failed_start(thread)


@guarded
def note_failed_start(thread: threading.Thread) -> None:
    """Forget a thread that the system had no room for: ``start`` takes it out of the table, and raises."""
    origins.threads.pop(id(thread), None)


@guarded
def note_thread(thread: threading.Thread, start: Any) -> None:
    """Note who calls ``Thread.start``; ``start`` is its frame."""
    target = getattr(thread, "_target", None)
    is_timer = isinstance(thread, threading.Timer)
    shown = thread.function if isinstance(thread, threading.Timer) else target
    origin = Origin(
        "timer" if is_timer else "thread",
        _named(shown) or thread.name,
        handoffs.site_from(start.f_back),
        handoffs.giver(),
    )
    module = getattr(target, "__module__", None) or type(thread).__module__
    if module in _POOL_MODULES:
        owner = start.f_back.f_locals.get("self") if start.f_back is not None else None
        origin.what, origin.executor = "pool", origins.crew_of(owner)
    origins.note(origins.threads, id(thread), origin)


_POOL_MODULES = frozenset(
    (
        "asyncio.unix_events",  # waits for a child of asyncio's, which is found as such
        "concurrent.futures.thread",
        "concurrent.futures.process",
        "multiprocessing.pool",
        "multiprocessing.queues",
    )
)


class _Active(dict):  # type: ignore[type-arg]
    """threading's own table of living threads: what a thread leaves last, in every version."""

    def __delitem__(self, ident: int) -> None:
        thread = self.get(ident)
        if thread is not None:
            note_thread_end(thread, ident)
        super().__delitem__(ident)


class RawThread:
    """A thread that ``_thread.start_new_thread`` has started, of which ``threading`` knows nothing."""

    def __init__(self, ident: int, name: str) -> None:
        self.ident = ident
        self.name = name
        self.native_id = _newest_native_id()

    def is_alive(self) -> bool:
        """Return whether it still runs; one that is in C alone has no frame."""
        return self.ident in sys._current_frames() or os.path.exists(f"/proc/self/task/{self.native_id}")  # noqa: PTH110 - no pathlib in here


def _newest_native_id() -> int | None:
    """Return the kernel's id of the thread that was made last, of those that ``threading`` does not know."""
    known = {thread.native_id for thread in list(threading._active.values())}  # type: ignore[attr-defined]
    known.update(thread.native_id for thread in list(origins.raw_threads.values()))
    found = [int(name) for name in os.listdir("/proc/self/task") if int(name) not in known]  # noqa: PTH208 - no pathlib in here
    return found[-1] if found else None


def _watch_raw_threads() -> None:
    """``_thread.start_new_thread`` is C's own; what it was called with is known when it has returned."""
    start = _thread.start_new_thread

    def start_new_thread(function: Any, *args: Any) -> int:
        ident: int = start(function, *args)
        note_raw_thread(ident, function, sys._getframe(1))
        return ident

    _thread.start_new_thread = _thread.start_new = start_new_thread


@guarded
def note_raw_thread(ident: int, function: Any, start: Any) -> None:
    """Note who calls ``_thread.start_new_thread``; ``start`` is its frame."""
    thread = RawThread(ident, _named(function) or "a thread")
    origins.raw_threads[ident] = thread
    origins.note(origins.threads, id(thread), Origin("thread", thread.name, site_of(start)))


def _watch_threads() -> None:
    _watch_raw_threads()
    threading._limbo = _Limbo(threading._limbo)  # type: ignore[attr-defined]
    threading._active = _Active(threading._active)  # type: ignore[attr-defined]
    threading._deque = handoffs.Waiters  # type: ignore[attr-defined]


@guarded
def note_thread_end(thread: threading.Thread, ident: int) -> None:
    """Note the end of a thread, in that thread: its CPU clock is still there to be read."""
    acts.forget_thread(ident)
    for handoff in handoffs.forget_thread(ident):
        if handoff.work is not None:
            handoff.work.end(time.monotonic_ns(), time.thread_time_ns())
    origin = origins.threads.pop(id(thread), None)
    if origin is None:
        return
    if origin.work is not None:
        origin.work.end(time.monotonic_ns(), time.thread_time_ns())
    if origin.executor is not None:
        origin.executor.ended_cpu_ns += time.thread_time_ns()


# -- executors -----------------------------------------------------------------------------------------------


def _watch_executor(module: ModuleType) -> None:
    """``submit`` makes a ``_WorkItem(future, fn, …)``: the leaf in both kinds of executor."""

    class _WorkItem(module._WorkItem):  # type: ignore[misc,name-defined]
        __slots__ = ()

        def __init__(self, future: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(future, *args, **kwargs)
            note_job(future, args[0] if args else None, sys._getframe(1))

    module._WorkItem = _WorkItem  # type: ignore[attr-defined]


@guarded
def note_job(future: Any, function: Any, submit: Any) -> None:
    """Note who calls ``submit``; ``submit`` is its frame, whose ``self`` is the executor."""
    if isinstance(function, tuple):  # Python 3.14: a task of (fn, args, kwargs)
        function = function[0]
    origin = Origin("executor", _named(function) or "a job", handoffs.site_from(submit), handoffs.giver())
    origin.executor = origins.crew_of(submit.f_locals.get("self"))
    origins.note_weakly(origins.jobs, future, origin)
    acts.note_job(origin.name, ())
    if not current.running and origin.request_id is not None and origin.ref is not None and handoffs.passes_on():
        from afterglow_hook import look  # noqa: PLC0415 - most functions leave nothing behind

        look.tell_late_job(origin, future)


def _watch_pool(module: ModuleType) -> None:
    """``multiprocessing.pool``: every asynchronous call makes an ApplyResult or a MapResult."""
    result = module.ApplyResult
    make = result.__init__

    def __init__(self: Any, pool: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        make(self, pool, *args, **kwargs)
        note_pool_job(self, pool, sys._getframe(1))

    result.__init__ = __init__


@guarded
def note_pool_job(result: Any, pool: Any, call: Any) -> None:
    """Note who gives a job to a Pool or ThreadPool."""
    if "func" not in call.f_locals and call.f_back is not None:  # MapResult's own constructor lies between
        call = call.f_back
    origin = Origin("executor", _named(call.f_locals.get("func")) or type(pool).__name__, site_of(call))
    origin.executor = origins.crew_of(pool)
    origins.note_weakly(origins.jobs, result, origin)


# -- asyncio -------------------------------------------------------------------------------------------------


def _watch_tasks(module: ModuleType) -> None:
    """Every Task, of every loop, is added to a WeakSet of asyncio.tasks by its constructor.

    From 3.14 on, only those that are not made by _asyncio: for the others see ``_watch_create_task``.
    """
    for name in ("_all_tasks", "_scheduled_tasks"):
        tasks = getattr(module, name, None)
        if tasks is not None:
            tasks.add = _task_adder(tasks.add)
            break
    _watch_threadsafe(module)


def _tasks_are_hidden() -> bool:
    """Return whether _asyncio keeps its tasks to itself, in lists of its own for each thread (from 3.14 on)."""
    made_in_c = sys.modules.get("_asyncio")
    return made_in_c is not None and not (hasattr(made_in_c, "_all_tasks") or hasattr(made_in_c, "_scheduled_tasks"))


def _watch_create_task(module: ModuleType) -> None:
    if _tasks_are_hidden():
        from afterglow_hook import births  # noqa: PLC0415 - not before Python 3.14

        why = births.watch(module.BaseEventLoop.create_task.__code__, note_created)
        if why:
            _tell_unseen("asyncio-task", why)


def _watch_uvloop(_: ModuleType) -> None:
    if _tasks_are_hidden():
        _tell_unseen("asyncio-task", "uvloop makes them in C")


def _tell_unseen(what: str, why: str) -> None:
    """Say aloud what this environment's findings will lack: once on stderr, once in the ledger."""
    from afterglow_hook import aloud  # noqa: PLC0415 - most functions never hear from us

    aloud.say(f"no {what} can be found here: {why}")
    wire.send({"t": "unseen", "what": what, "why": why})


@guarded
def note_created(task: Any, create: Any) -> None:
    """Note what ``create_task`` returns: a task, or whatever a task factory of the user's makes."""
    if hasattr(task, "get_coro") and hasattr(task, "get_loop"):
        note_task(task, create)


def _watch_run(asyncio: ModuleType) -> None:
    """``asyncio.run`` looks ``tasks.all_tasks`` up when it is about to end; ``asyncio.all_tasks`` stays the user's."""
    module = asyncio.tasks
    all_tasks = module.all_tasks

    def observed_all_tasks(loop: Any = None) -> Any:
        found = all_tasks(loop)
        if sys._getframe(1).f_code.co_name == "_cancel_all_tasks":
            note_cancelled(found)
        return found

    module.all_tasks = observed_all_tasks


def _task_adder(add: Callable[[Any], None]) -> Callable[[Any], None]:
    def add_task(task: Any) -> None:
        add(task)
        note_task(task, sys._getframe(1))

    return add_task


def _watch_threadsafe(module: ModuleType) -> None:
    """``run_coroutine_threadsafe`` asks ``iscoroutine`` in the caller's thread; the loop's then makes the task."""
    coroutines = module.coroutines
    iscoroutine = coroutines.iscoroutine

    def observed_iscoroutine(coroutine: Any) -> Any:
        is_one = iscoroutine(coroutine)
        caller = sys._getframe(1)
        if is_one and caller.f_code.co_name == "run_coroutine_threadsafe":
            note_handed_over(coroutine, caller)
        return is_one

    coroutines.iscoroutine = observed_iscoroutine


@guarded
def note_handed_over(coroutine: Any, caller: Any) -> None:
    """Note who gives a coroutine to a loop in another thread."""
    origin = Origin("asyncio-task", _named(coroutine) or "a task", site_of(caller))
    origins.note_weakly(origins.handed_over, coroutine, origin)


@guarded
def note_task(task: Any, create: Any) -> None:
    """Note who creates a task; ``create`` is the frame that calls the constructor.

    A task that another task creates is that one's invocation's, whichever invocation runs by now.
    """
    known = origins.tasks.get(id(task))
    if known is not None and known.ref is not None and known.ref() is task:
        return
    coroutine = task.get_coro()
    origin = origins.handed_over.pop(id(coroutine), None)
    if origin is None:
        origin = Origin("asyncio-task", _named(coroutine) or "a task", site_of(create))
        parent = origins.tasks.get(id(_current_task(task.get_loop())))
        if parent is not None:
            origin.request_id, origin.index = parent.request_id, parent.index
            origin.site = (*origin.site, *parent.site)[:MOST_FILES]  # a library's own task says little
        else:
            origin.site += _handed_at(task, origin)
    elif origin.work is not None:
        origin.work.follow(task)
    origins.note_weakly(origins.tasks, task, origin)


_handed: dict[int, tuple[int | None, Site]] = {}
"""id(loop) → which invocation has handed something to a loop in another thread, and where."""
_MOST_LOOPS = 1_000


def _handed_at(task: Any, origin: Origin) -> Site:
    """Return where a task comes from that a callback has made, in a loop's own thread."""
    index, site = _handed.get(id(task.get_loop()), (None, ()))
    return site if index == origin.index and threading.get_ident() != current.handler_thread else ()


def _watch_wakeups(module: ModuleType) -> None:
    """``call_soon_threadsafe`` ends in ``_write_to_self``, in the caller's thread."""
    write = module.BaseSelectorEventLoop._write_to_self

    def _write_to_self(loop: Any) -> None:
        note_wakeup(loop, sys._getframe(1))
        write(loop)

    module.BaseSelectorEventLoop._write_to_self = _write_to_self


@guarded
def note_wakeup(loop: Any, wake: Any) -> None:
    """Note who hands something to a loop; ``wake`` is the frame of ``call_soon_threadsafe``."""
    if threading.get_ident() != current.handler_thread:
        return
    site = site_of(wake)
    if site:
        if len(_handed) >= _MOST_LOOPS:
            _handed.clear()
        _handed[id(loop)] = current.index, site


def _watch_destroyed(module: ModuleType) -> None:
    """Note what a task's finalizer tells its loop's exception handler, if it is destroyed while it is pending."""
    handle = module.BaseEventLoop.call_exception_handler

    def call_exception_handler(loop: Any, context: Any) -> None:
        note_destroyed(context)
        handle(loop, context)

    module.BaseEventLoop.call_exception_handler = call_exception_handler


@guarded
def note_destroyed(context: Any) -> None:
    """Note a task that can never end."""
    if str(context.get("message")).startswith("Task was destroyed") and context.get("task") is not None:
        bootstrap.note_destroyed(context["task"])


def _watch_base_events(module: ModuleType) -> None:
    _watch_destroyed(module)
    _watch_create_task(module)


def _current_task(loop: Any) -> Any:
    return sys.modules["asyncio.tasks"].current_task(loop)


@guarded
def note_cancelled(tasks: Any) -> None:
    """Note what asyncio.run cuts short because the main coroutine has returned."""
    bootstrap.note_cancelled(tasks)


# -- queues and requests --------------------------------------------------------------------------------------


def _watch_queues(module: ModuleType) -> None:
    """``Queue.__init__`` makes a deque for its items."""
    module.deque = handoffs.Items  # type: ignore[attr-defined]


def _watch_http(module: ModuleType) -> None:
    module.HTTPConnection._method = acts.Method()


# -- processes -----------------------------------------------------------------------------------------------


class _Pid:
    """``Popen.pid``: what is assigned last when a child was forked or spawned; a missing program is raised after it.

    Without ``__get__`` it is written through us, and read from the instance as ever.
    """

    def __set__(self, popen: Any, pid: int | None) -> None:
        popen.__dict__["pid"] = pid
        if pid is not None:
            note_process(pid, sys._getframe(1))


def _watch_subprocess(module: ModuleType) -> None:
    module.Popen.pid = _Pid()


@guarded
def note_process(pid: int, start: Any) -> None:
    """Note who starts a child process; ``start`` is the frame in Popen that has forked, with its ``args``."""
    args = start.f_locals.get("args")
    program = os.fsdecode(args[0]).rpartition("/")[2] if isinstance(args, (list, tuple)) and args else "?"
    _note_child(pid, Origin("process", program, site_of(start)))


def _note_child(pid: int, origin: Origin) -> None:
    from afterglow_hook.waits import process_born  # noqa: PLC0415 - not for cold starts without children

    origin.born = process_born(pid)
    origins.note(origins.processes, pid, origin)


def _in_forking_parent() -> None:
    note_fork(sys._getframe(1))


@guarded
def note_fork(fork: Any) -> None:
    """Note who calls ``os.fork``; ``fork`` is the frame that does. subprocess and multiprocessing note their own."""
    if fork.f_globals.get("__name__") in ("multiprocessing.popen_fork", "subprocess", "multiprocessing.forkserver"):
        return
    pid = _newest_child()
    if pid is not None and pid not in origins.processes:
        _note_child(pid, Origin("process", "os.fork", site_of(fork)))


def _newest_child() -> int | None:
    """Return the child that the current thread has just forked: ``os.fork`` tells its pid to nobody but its caller."""
    try:
        with open(f"/proc/self/task/{threading.get_native_id()}/children", encoding="ascii") as children:  # noqa: PTH123 - no pathlib in here
            pids = children.read().split()
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        return None
    return int(pids[-1]) if pids else None


class _Children(set):  # type: ignore[type-arg]
    """multiprocessing's own set of children: the leaf of ``Process.start``."""

    def add(self, process: Any) -> None:
        super().add(process)
        note_multiprocessing(process, sys._getframe(1))


@guarded
def note_multiprocessing(process: Any, start: Any) -> None:
    """Note who starts a Process, unless it is a pool's own worker: a pool is judged by its jobs."""
    starter = start.f_back.f_globals.get("__name__") if start.f_back is not None else None
    if starter in _POOL_MODULES or starter == "multiprocessing.managers" or process.pid is None:
        return
    _note_child(process.pid, Origin("process", process.name, site_of(start)))


def _watch_multiprocessing(module: ModuleType) -> None:
    module._children = _Children(module._children)  # type: ignore[attr-defined]


def _named(thing: Any) -> str | None:
    """Return a callable's name; None where it has none that is text (a proxy answers to every attribute)."""
    if type(thing).__name__ == "partial":
        thing = thing.func
    try:
        name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    except Exception:  # the user's own __getattr__ may raise anything
        return None
    return name if isinstance(name, str) else None


# -- on import -----------------------------------------------------------------------------------------------

WATCHED: dict[str, Callable[[ModuleType], None]] = {
    "awslambdaric.bootstrap": leaves.attach,
    "asyncio": _watch_run,
    "asyncio.base_events": _watch_base_events,
    "asyncio.selector_events": _watch_wakeups,
    "asyncio.tasks": _watch_tasks,
    "concurrent.futures.thread": _watch_executor,
    "concurrent.futures.process": _watch_executor,
    "http.client": _watch_http,
    "multiprocessing.pool": _watch_pool,
    "multiprocessing.process": _watch_multiprocessing,
    "queue": _watch_queues,
    "sentry_sdk._queue": _watch_queues,  # a copy of it
    "subprocess": _watch_subprocess,
    "uvloop": _watch_uvloop,
}


class _Watcher:
    """Finds nothing itself: lets the others find a watched module, and observes it once it has been executed.

    A finder and a loader by duck typing: ``importlib.abc`` would cost 8 ms.
    """

    def __init__(self) -> None:
        self._loaders: dict[str, Any] = {}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name not in WATCHED or name in self._loaders:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None and spec.loader is not None:
                self._loaders[name] = spec.loader
                spec.loader = self
                return spec  # type: ignore[no-any-return]  # finders are duck-typed
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loaders[spec.name].create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        loader = self._loaders[name]
        module.__loader__ = loader
        if module.__spec__ is not None:
            module.__spec__.loader = loader
        loader.exec_module(module)
        _observe(name, module)


def _observe(name: str, module: ModuleType) -> None:
    try:
        WATCHED[name](module)
    except Exception as error:
        from afterglow_hook import aloud  # noqa: PLC0415 - as above

        aloud.say(f"cannot watch {name}: {type(error).__name__}: {error}")


def _in_forked_child() -> None:
    wire.close()
    origins.forget_all()
    handoffs.forget_all()
    acts.forget_all()
    bootstrap.forget_all()


def install() -> None:
    """Observe what is imported already, and what will be."""
    _watch_threads()
    for name in WATCHED:
        module = sys.modules.get(name)
        if module is not None:
            _observe(name, module)
    sys.meta_path.insert(0, _Watcher())
    os.register_at_fork(after_in_parent=_in_forking_parent, after_in_child=_in_forked_child)
