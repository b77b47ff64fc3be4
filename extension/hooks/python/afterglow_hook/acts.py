"""What a thread does of its own accord: the HTTP requests that it begins, the jobs that it submits. Out: Acts.

A thread that waits for its time to come does nothing that can be seen at the return. When it then acts in somebody
else's invocation, that is the evidence: a batch is sent, a reminder comes late. ``http.client`` keeps the method of
the request that it begins in an attribute, which is observed: ``requests``, ``urllib3``, ``botocore`` and most SDKs
end there.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from _thread import get_ident

from afterglow_hook import current, handoffs, origins
from afterglow_hook.guard import guarded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from afterglow_hook.callsite import Site

    Host = tuple[Any, Any]  # and its port

LOOKS = ("GET", "HEAD", "OPTIONS")
"""Who only asks has nothing to lose: a poll for a flag, a health check."""
_NEXT_EVENT = "/extension/event/next"
_MOST_ACTS = 256
_MOST_HOSTS = 1_000


class Act:
    """Something that a background thread began to do."""

    __slots__ = ("at_ns", "giver", "host", "ident", "left_ns", "name", "site", "slept_across")

    def __init__(self, ident: int, host: Host | None, name: str | None, site: Site) -> None:
        self.ident = ident
        self.at_ns = time.monotonic_ns()
        self.host = host
        self.name = name
        self.site = site
        if current.running:
            self.giver, self.left_ns = current.previous, current.previous_left_ns
            self.slept_across = handoffs.waited_from.get(ident, 0) < current.entered_ns
        else:
            self.giver, self.left_ns = (current.request_id, current.index), current.left_ns
            self.slept_across = handoffs.waited_from.get(ident, 0) < current.looked_ns
        given = handoffs.take_unacted(ident)
        if given is not None:
            self.giver, self.site = (given.request_id, given.index), given.site


begun: list[Act] = []
"""Since the last look."""
_sent_by_hand: dict[Any, int] = {}
"""(host, port) → index of the last invocation whose handler, or whoever it woke, sent something there itself."""
sent_ns: dict[int, int] = {}
"""ident → when it last began to send something."""
last_method: dict[int, str] = {}
"""ident → the method of the last HTTP request that it began."""


class Method:
    """``HTTPConnection._method``: written as a request begins; without ``__get__``, read from the instance as ever."""

    def __set__(self, connection: Any, method: str | None) -> None:
        connection.__dict__["_method"] = method
        if method is not None:
            note_request(connection, method, sys._getframe(1))


@guarded
def note_request(connection: Any, method: str, begin: FrameType) -> None:
    """Note who begins an HTTP request, from the thread that does; ``begin`` is http.client's frame."""
    ident = get_ident()
    if method == "GET" and ident != current.handler_thread and _is_extensions(connection, begin):
        origin = origin_here()
        if origin is not None:
            origin.is_extension = True
        return
    if ident != current.handler_thread:
        last_method[ident] = method
    if not current.index:
        return
    host = connection.host, connection.port
    if ident == current.handler_thread:
        if method not in LOOKS:
            _note_sent(host)
        return
    if method in LOOKS:
        return
    sent_ns[ident] = time.monotonic_ns()
    held = handoffs.in_hand.get(ident)
    if held and held[-1].left_ns is None:  # it does what it was given: that is followed already
        handoffs.take_unacted(ident)
        if held[-1].index == current.index:
            _note_sent(host)
        return
    if len(begun) < _MOST_ACTS:
        begun.append(Act(ident, host, None, ()))


def _note_sent(host: Host) -> None:
    if len(_sent_by_hand) >= _MOST_HOSTS:
        _sent_by_hand.clear()
    _sent_by_hand[host] = current.index


def note_job(name: str, site: Site) -> None:
    """Note a job that a thread which is not the handler's gives to an executor."""
    ident = get_ident()
    if current.index and ident != current.handler_thread and len(begun) < _MOST_ACTS:
        held = handoffs.in_hand.get(ident)
        act = Act(ident, None, name, site) if not (held and held[-1].left_ns is None) else None
        if act is not None and act.site:  # else nobody had asked for it: a tick, with nothing to do maybe
            begun.append(act)


def was_sent_by_hand(host: Host | None, index: int | None) -> bool:
    """Return whether an invocation had sent something to the same place before it returned: it has flushed."""
    return host is not None and _sent_by_hand.get(host) == index


def _is_extensions(connection: Any, begin: FrameType) -> bool:
    """Return whether a request asks the Extensions API for the next event."""
    if runtime_api() != (connection.host, connection.port):
        return False
    url = begin.f_locals.get("url")
    return isinstance(url, str) and _NEXT_EVENT in url


def runtime_api() -> tuple[str, int] | None:
    """Return the address of Lambda's own APIs."""
    host, _, port = os.environ.get("AWS_LAMBDA_RUNTIME_API", "").rpartition(":")
    return (host, int(port)) if port.isdigit() else None


def take() -> list[Act]:
    """Return what was begun since the last call."""
    global begun
    taken, begun = begun, []
    return taken


def origin_here() -> Any:
    """Return the Origin of the current thread; None for one that nobody saw start."""
    thread = threading._active.get(get_ident())  # type: ignore[attr-defined]
    return origins.threads.get(id(thread))


def forget_thread(ident: int) -> None:
    """Forget a thread that ends."""
    last_method.pop(ident, None)
    sent_ns.pop(ident, None)


def forget_all() -> None:
    """In a forked child: its parent's threads are not there."""
    begun.clear()
    last_method.clear()
    sent_ns.clear()
    _sent_by_hand.clear()
