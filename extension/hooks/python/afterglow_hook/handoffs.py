"""Work that is handed to a thread which lives on: who gave it, at which line, and whether it is still in hand.

In: what ``queue.Queue`` takes and gives, and who ends whose wait in a ``threading.Condition``; both are observed in the
deques in which they keep items and waiters, so that no frame of ours stands in a call that can raise. Out: one Handoff
for each invocation and line that gave something.

Nothing in here keeps an item alive: of each, its address is noted, to recognise it in a batch that a worker collects.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref
from _collections import deque  # type: ignore[import-not-found]  # what ``collections`` wraps; threading has it already
from _thread import get_ident

from afterglow_hook import current, origins
from afterglow_hook.callsite import MOST_FILES, is_stdlib, site_of
from afterglow_hook.guard import guarded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from afterglow_hook.callsite import Site

    Giver = tuple[str | None, int | None]  # request id and index

_MOST_IDS = 256
_MOST_HANDOFFS = 64  # of one thread that are not known to be over
_MOST_WAITERS = 20_000
_MOST_PLACES = 16
_NEAREST = 6  # callers of ``put`` that must be the same for it to be the same line that gives
_MOST_UNACTED = 16
_UNMISTAKABLE_LENGTH = 4  # a shorter string is often one object for all who write it

waiting_since: dict[int, int] = {}
"""ident of a thread → when it began to wait in a Condition, in which it still is."""
waited_from: dict[int, int] = {}
"""ident → when it began its last such wait, over or not."""
in_hand: dict[int, list[Handoff]] = {}
"""ident → what it was given and is not known to be over, the latest last."""
_waiters: dict[int, int] = {}  # id(the lock that a thread waits for) → its ident
_waits_in: dict[int, int] = {}  # ident → id(the Condition's waiters) of its last wait
_places: dict[int, list[int]] = {}  # ident → those in which it was given work
_fed: dict[int, tuple[Any, int]] = {}  # id(a queue's items) → a weak reference to them, and who takes them
_unacted: dict[int, list[Handoff]] = {}  # ident → what it was woken for, and may act on when its time has come
_last_put: tuple[int, Handoff | None] = (0, None)  # id(the frame of ``put``), what it gave: ``notify`` follows at once


class Handoff:
    """What one invocation gave to one thread, from one line."""

    __slots__ = (
        "holder",
        "ids",
        "index",
        "left_ns",
        "queued",
        "request_id",
        "rested_ns",
        "site",
        "taken",
        "taken_ns",
        "work",
    )

    def __init__(self, giver: Giver, site: Site) -> None:
        self.request_id, self.index = giver
        self.site = site
        self.queued = 0  # items that nobody has taken yet
        self.taken = 0
        self.taken_ns = 0  # when the last item was
        self.holder: int | None = None  # ident of the thread
        self.ids: dict[int, type] = {}  # address → type of the last items that were taken, in their order
        self.rested_ns: int | None = None  # when its holder first waited for more
        self.left_ns: int | None = None  # when its holder took something else, or began to wait for more
        self.work: Any = None  # the open piece of work that it became

    def is_from(self, giver: Giver, site: Site) -> bool:
        """Return whether what is given now belongs to it."""
        return self.index == giver[1] and self.site == site


class Items(deque):  # type: ignore[misc]
    """The items of a ``queue.Queue``, and in the same order who gave them."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.givers: Any = deque()
        self.known = 0  # items that ``givers`` accounts for
        self.last: Any = None  # the Handoff that the last item belongs to
        self.last_key: tuple[Any, ...] = ()  # how it came

    def append(self, item: Any) -> None:
        """Note what is put in."""
        super().append(item)
        note_put(self, item, sys._getframe(1))

    def popleft(self) -> Any:
        """Note what is taken out."""
        item = super().popleft()
        note_taken(self, item)
        return item

    def forget_givers(self) -> None:
        """Note that it is no longer known who gave what: somebody has reached into the queue."""
        for handoff in self.givers:
            handoff.queued = 0
        self.givers.clear()
        self.last, self.last_key = None, ()
        self.known = len(self)


class Waiters(deque):  # type: ignore[misc]
    """The locks that threads wait for in one Condition."""

    def append(self, waiter: Any) -> None:
        """Note who begins to wait."""
        super().append(waiter)
        note_wait(waiter, id(self), sys._getframe(1))

    def remove(self, waiter: Any) -> None:
        """Note whose wait is over."""
        super().remove(waiter)
        note_woken(waiter, sys._getframe(1))


@guarded
def note_wait(waiter: Any, waiters: int, wait: FrameType) -> None:
    """Note that the current thread begins to wait; ``wait`` is threading's own frame."""
    if len(_waiters) < _MOST_WAITERS:
        ident = get_ident()
        _waiters[id(waiter)] = ident
        _waits_in[ident] = waiters
        waiting_since[ident] = waited_from[ident] = time.monotonic_ns()
        held = in_hand.get(ident)
        if held and held[-1].rested_ns is None and _is_rest(ident, wait):
            held[-1].rested_ns = waiting_since[ident]
            if held[-1].work is not None:
                held[-1].work.may_be_over(wait)


@guarded
def note_woken(waiter: Any, notify: FrameType) -> None:
    """Note who ends a thread's wait; after a timeout, the thread itself."""
    ident = _waiters.pop(id(waiter), None)
    if ident is None:
        return
    waiting_since.pop(ident, None)
    if ident in (get_ident(), current.handler_thread) or current.request_id is None:
        return
    caller = notify.f_back
    if caller is None:
        return
    handoff = _just_put(caller) or Handoff(giver(), site_from(caller))
    if not handoff.site:
        return  # the library's own affair: a thread that has started, a future that has its result
    places = _places.setdefault(ident, [])
    if _waits_in[ident] not in places:
        places.append(_waits_in[ident])
        del places[:-_MOST_PLACES]
    _hand_over(ident, handoff)
    _note_unacted(ident, handoff)


def _just_put(caller: FrameType) -> Handoff | None:
    """Return what the caller of ``notify`` has put into its queue right before."""
    return _last_put[1] if id(caller) == _last_put[0] and caller.f_code.co_name == "put" else None


@guarded
def note_put(items: Items, item: Any, put: FrameType) -> None:
    """Note who puts an item into a queue; ``put`` is a frame of queue.py. None is no work: it tells a worker to end."""
    global _last_put  # noqa: PLW0603 - the one put that is under way: the interpreter's lock sees to that
    if items.known != len(items) - 1:
        items.forget_givers()
        return
    items.known += 1
    if put.f_code.co_name == "_put" and put.f_back is not None:
        put = put.f_back
    key = (current.index, get_ident(), item is None, *_nearest(put))
    if items.last_key != key:  # else it comes the same way as the one before: no walk down the stack
        who, site = giver(), () if item is None else site_from(put)
        if items.last is None or not items.last.is_from(who, site):
            items.last = Handoff(who, site)
        items.last_key = key
    handoff, givers = items.last, items.givers
    if not givers or givers[-1] is not handoff:
        givers.append(handoff)
    handoff.queued += 1
    _last_put = id(put), handoff


def _nearest(frame: FrameType | None) -> list[Any]:
    """Return the code and place of the nearest callers."""
    found: list[Any] = []
    for _ in range(_NEAREST):
        if frame is None:
            break
        found += (frame.f_code, frame.f_lasti)
        frame = frame.f_back
    return found


@guarded
def note_taken(items: Items, item: Any) -> None:
    """Note that the current thread has taken the oldest item."""
    if items.known != len(items) + 1 or not items.givers:
        items.forget_givers()
        return
    items.known -= 1
    handoff = items.givers[0]
    handoff.queued -= 1
    if not handoff.queued:
        items.givers.popleft()
    ident = get_ident()
    if ident == current.handler_thread or not handoff.site:
        return
    if id(items) not in _fed and len(_fed) < _MOST_WAITERS:
        _remember(items, ident)
    handoff.taken += 1
    handoff.taken_ns = time.monotonic_ns()
    _hand_over(ident, handoff)
    if _is_unmistakable(item):
        _note_address(ident, handoff, item)


def _note_address(ident: int, handoff: Handoff, item: Any) -> None:
    """Note where an item lies; one that lay there before must be gone."""
    for earlier in in_hand[ident]:
        earlier.ids.pop(id(item), None)
    handoff.ids[id(item)] = type(item)
    if len(handoff.ids) > _MOST_IDS:
        del handoff.ids[next(iter(handoff.ids))]


def _is_unmistakable(item: Any) -> bool:
    """Return whether an object's address tells it from others: not that of a number or a short string."""
    if isinstance(item, (str, bytes)):
        return len(item) >= _UNMISTAKABLE_LENGTH
    return item is not None and not isinstance(item, (int, float))


def _remember(items: Items, ident: int) -> None:
    key = id(items)

    def forget(_: Any) -> None:
        _fed.pop(key, None)

    _fed[key] = weakref.ref(items, forget), ident


def _hand_over(ident: int, handoff: Handoff) -> None:
    """Note what a thread has in hand from now on; what it had before, it has done or put by."""
    woken = in_hand.get(handoff.holder or 0)
    if woken and handoff.holder != ident and handoff in woken:
        woken.remove(handoff)  # it was woken for it, but another one of the crew has been faster
    held = in_hand.setdefault(ident, [])
    before = held[-1] if held else None
    if before is not handoff:
        if before is not None and before.left_ns is None:
            before.left_ns = time.monotonic_ns()
        if handoff in held:
            held.remove(handoff)
        held.append(handoff)
        del held[:-_MOST_HANDOFFS]
    handoff.holder, handoff.left_ns, handoff.rested_ns = ident, None, None


def _note_unacted(ident: int, handoff: Handoff) -> None:
    given = _unacted.setdefault(ident, [])
    if not given or not given[-1].is_from(_giver_of(handoff), handoff.site):
        given.append(handoff)
        del given[:-_MOST_UNACTED]


def take_unacted(ident: int) -> Handoff | None:
    """Return the oldest that a thread was woken for and has not acted on, and forget it."""
    given = _unacted.get(ident)
    return given.pop(0) if given else None


def _giver_of(handoff: Handoff) -> Giver:
    return handoff.request_id, handoff.index


def giver() -> Giver:
    """Return the invocation that the current thread acts for: the handler's own, or that of what it has in hand."""
    ident = get_ident()
    held = in_hand.get(ident)
    if held and held[-1].left_ns is None and ident not in waiting_since:
        return held[-1].request_id, held[-1].index
    job = _job_here(ident)
    return (job.request_id, job.index) if job is not None else origins.starter()


def passes_on() -> bool:
    """Return whether the current thread does what it was given, and not what its own time has come for."""
    ident = get_ident()
    held = in_hand.get(ident)
    return bool(held and held[-1].left_ns is None and ident not in waiting_since) or _job_here(ident) is not None


def _job_here(ident: int) -> Any:
    """Return the Origin of the job that the current thread runs for an executor; None for any other thread."""
    thread = origins.threads.get(id(threading._active.get(ident)))  # type: ignore[attr-defined]
    if thread is None or thread.what != "pool":
        return None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "run" and is_stdlib(frame.f_code.co_filename, "concurrent/futures/thread.py"):
            return origins.jobs.get(id(getattr(frame.f_locals.get("self"), "future", None)))
        frame = frame.f_back
    return None


def site_from(frame: FrameType | None) -> Site:
    """Return where something is given: of what a background thread passes on, also where that had come from."""
    site = site_of(frame)
    ident = get_ident()
    if not site or ident == current.handler_thread:
        return site
    held = in_hand.get(ident)
    job = None if held else _job_here(ident)
    behind = held[-1].site if held else job.site if job is not None else origins.site_of_thread(ident)
    return (*site, *behind)[:MOST_FILES]


def queued() -> list[Handoff]:
    """Return what was given to threads that have taken from the same queue before, and has not been taken yet."""
    found = []
    for reference, ident in list(_fed.values()):
        items = reference()
        if items:
            for handoff in [each for each in list(items.givers) if each.site]:
                if handoff.holder is None:
                    handoff.holder = ident
                found.append(handoff)
    return found


def rests(ident: int, frame: FrameType | None) -> bool:
    """Return whether a thread waits in a Condition to be given more, and not for something that its work needs."""
    return frame is not None and ident in waiting_since and _is_rest(ident, frame)


def _is_rest(ident: int, wait: FrameType) -> bool:
    """Return whether a wait is one in which the thread was given work before, or is called by some queue's ``get``."""
    caller = wait.f_back
    is_get = caller is not None and caller.f_code.co_name == "get"
    return is_get or _waits_in.get(ident) in _places.get(ident, ())


def settle(
    ident: int, lying: dict[int, type] | None, *, at_rest: bool, timeout: float | None, sent_ns: int | None = None
) -> list[Handoff]:
    """Return what a thread still has in hand, and forget the rest.

    ``sent_ns``: of a known exporter, when it sent something the last time; what it took since, it has yet to send.
    ``at_rest``: it waits to be given more, so it has done what it had; unless that wait has a ``timeout``, and what it
    had lies in a collection of its own (``lying``: their addresses): batches are collected so.
    """
    kept = []
    held = in_hand.get(ident, [])
    for handoff in held:
        is_latest = handoff is held[-1]
        has_rested = handoff.rested_ns is not None
        over = at_rest or has_rested if is_latest else True
        if over and lying is not None and (timeout is not None or has_rested or not is_latest):
            over = not still_lies(handoff.ids, lying)
        if over and sent_ns is not None and handoff.taken_ns > sent_ns:
            over = False
        if over and handoff.left_ns is None:
            handoff.left_ns = handoff.rested_ns or waiting_since.get(ident) or time.monotonic_ns()
        if not over:
            handoff.rested_ns = None  # it rested, but with this in hand
        if not over or handoff.queued:
            kept.append(handoff)
    if held:
        in_hand[ident] = kept
    return kept


def still_lies(ids: dict[int, type], lying: dict[int, type]) -> bool:
    """Return whether any of the items is there still: an address is used again, but mostly by something else."""
    return any(lying.get(address) is kind for address, kind in ids.items())


def forget_thread(ident: int) -> list[Handoff]:
    """Forget a thread that ends; return what it had in hand."""
    for table in (waiting_since, waited_from, _waits_in, _places, _unacted):
        table.pop(ident, None)
    return in_hand.pop(ident, None) or []


def forget_all() -> None:
    """In a forked child: its parent's threads are not there."""
    for table in (waiting_since, waited_from, in_hand, _waiters, _waits_in, _places, _fed, _unacted):
        table.clear()
