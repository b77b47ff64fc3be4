"""The registry of work that was started: who started what, where, for whom. In: observers' notes.

Nothing in here keeps the user's objects alive: futures and tasks are held by weak references that take their
entry with them, threads and processes leave when they end. ``look`` reads these tables.
"""

from __future__ import annotations

import threading
import time
import weakref

from afterglow_hook import current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from afterglow_hook.callsite import Site

_MOST_ENTRIES = 20_000
_MOST_JUST_GONE = 100
_LONGEST_NAME = 1024  # characters; of too long a message the extension gets nothing
overflowed = 0
"""Starts that were not noted because a table was full; reported as a loss."""


class Crew:
    """The threads of one executor: what those of them have burned that have ended.

    It lives as long as one of its threads, its jobs or the executor itself: an address that is used again is not it.
    """

    __slots__ = ("ended_cpu_ns",)

    def __init__(self) -> None:
        self.ended_cpu_ns = 0


class Origin:
    """One start of work, and what is known of it since."""

    __slots__ = (
        "awaited",
        "begun_ns",
        "born",
        "buffers",
        "burned_ns",
        "cpu_ns",
        "entry_cpu_ns",
        "executor",
        "index",
        "is_extension",
        "looked_ns",
        "moves",
        "name",
        "place",
        "ref",
        "refused",
        "request_id",
        "rest",
        "site",
        "what",
        "work",
    )

    def __init__(self, what: str, name: str, site: Site, giver: tuple[str | None, int | None] | None = None) -> None:
        self.what = what
        self.name = name[:_LONGEST_NAME] if type(name) is str else name
        self.site = site
        self.request_id, self.index = starter() if giver is None else giver
        self.begun_ns = time.monotonic_ns()
        self.awaited = False  # a task: its end will be told
        self.executor: Crew | None = None  # of the executor that a thread or a job belongs to
        self.born: int | None = None  # a process: when it started, as the kernel counts (waits.process_born)
        self.ref: Callable[[], Any] | None = None
        self.burned_ns = 0  # a process: its CPU when it was found
        self.buffers: list[Any] | None = None  # a thread: what it sends in time (buffers.Buffer); None: not looked for
        self.is_extension = False  # a thread that asks the Extensions API for events: an internal extension
        self.cpu_ns: int | None = None  # its CPU clock at the last look
        self.looked_ns = 0  # when that was
        self.entry_cpu_ns: int | None = None  # its CPU clock at the last entry
        self.place: int | None = None  # how far it had got then
        self.rest: str | None = None  # the wait with an end of its own that it stood in when the handler returned
        self.moves = 0  # gaps in a row that it took more CPU in than waiting takes
        self.refused = False  # there were too many to follow it
        self.work: Any = None  # the open piece of work that it became


threads: dict[int, Origin] = {}  # id(Thread) →
raw_threads: dict[int, Any] = {}  # ident → an observers.RawThread
jobs: dict[int, Origin] = {}  # id(Future or AsyncResult) →
tasks: dict[int, Origin] = {}  # id(Task) →
handed_over: dict[int, Origin] = {}  # id(coroutine) → until the loop's thread has made its task
processes: dict[int, Origin] = {}  # pid →
just_gone: dict[int, Origin] = {}  # id(Task) → of the latest tasks that are no more
crews: dict[int, tuple[Any, Crew]] = {}  # id(executor) → a weak reference to it, and its crew


def starter() -> tuple[str | None, int | None]:
    """Return the invocation that is to be held responsible for what the current thread starts.

    A background thread acts for the invocation that started it, however late it does so.
    """
    ident = threading.get_ident()
    if ident != current.handler_thread and current.handler_thread is not None:
        handed = current.acting_for.get()  # a callback or a task that was handed to a loop in this thread
        if handed is not None:
            return handed
        thread = threading._active.get(ident)  # type: ignore[attr-defined]
        origin = threads.get(id(thread))
        if origin is not None:
            return origin.request_id, origin.index
    return current.request_id, current.index or None


def site_of_thread(ident: int) -> Site:
    """Return where a thread was started; nothing of one that nobody saw start."""
    origin = threads.get(id(threading._active.get(ident)))  # type: ignore[attr-defined]
    return origin.site if origin is not None else ()


def note(table: dict[int, Origin], key: int, origin: Origin) -> bool:
    """Add an entry unless the table is full."""
    global overflowed  # noqa: PLW0603 - a count that belongs to the tables
    if len(table) >= _MOST_ENTRIES:
        overflowed += 1
        return False
    table[key] = origin
    return True


def note_weakly(table: dict[int, Origin], obj: Any, origin: Origin) -> None:
    """Add an entry that goes when ``obj`` goes."""
    key = id(obj)
    if note(table, key, origin):

        def forget(_: Any) -> None:
            gone = table.pop(key, None)
            if gone is not None and table is tasks:  # its finalizer comes next, and may say that it was pending
                just_gone[key] = gone
                if len(just_gone) > _MOST_JUST_GONE:
                    del just_gone[next(iter(just_gone))]

        try:
            origin.ref = weakref.ref(obj, forget)
        except TypeError:  # a coroutine of Cython's, say: not to be followed without keeping it alive
            del table[key]


def crew_of(executor: Any) -> Crew | None:
    """Return the crew of an executor or a pool; None for what cannot be followed without keeping it alive."""
    key = id(executor)
    known = crews.get(key)
    if known is not None:
        return known[1]
    if executor is None or len(crews) >= _MOST_ENTRIES:
        return None

    def forget(_: Any) -> None:
        crews.pop(key, None)

    try:
        crews[key] = weakref.ref(executor, forget), Crew()
    except TypeError:
        return None
    return crews[key][1]


def any_noted() -> bool:
    """Return whether there is anything that a look could see."""
    return bool(threads or jobs or tasks or handed_over or processes or overflowed)


def forget_all() -> None:
    """In a forked child: nothing of what the parent had started exists here."""
    just_gone.clear()
    for table in (threads, raw_threads, jobs, tasks, handed_over, processes):
        table.clear()
    crews.clear()
