"""Init and invocations, as the runtime client goes through them. In: its bootstrap module. Out: facts.

``leaves`` tells what the client is at. Where it cannot, in a client of another shape, we stand around two of its
calls: ``_get_handler`` and ``handle_event_request``, which every version looks up as globals. This file's name is part
of that: awslambdaric strips leading frames of files called ``bootstrap.py`` from the stack trace that it reports.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what ``signal`` wraps, without its enums (3 ms)
import gc
import os
import resource
import sys
import time
from _thread import get_ident as _get_ident

from afterglow_hook import current, figures, imports, origins, wire
from afterglow_hook.callsite import site_of_error, spelled
from afterglow_hook.guard import give_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType
    from typing import Any

_open: _Invocation | None = None
_cancelled: list[dict[str, Any]] = []
_MOST_CANCELLED = 100
_PER_MESSAGE = 6  # of at most about 10 KB each (callsite.MOST_CHARACTERS)
_MESSAGE_CHARACTERS = 256
_LONGEST_NAME = 1024  # characters of a class's name: the extension gets nothing of too long a message
_look: ModuleType | None = None
"""``afterglow_hook.look``, from the first start of work on."""


def _uncollected(step: Callable[[], None]) -> None:
    """Do a step of ours without a garbage collection in it: when the function's objects go is not for us to decide."""
    if not gc.isenabled():
        step()
        return
    gc.disable()
    try:
        step()
    finally:
        gc.enable()


def _looking() -> Any:
    """Return the looks, or None while no work was ever started: 0.8 ms that most cold starts need not pay."""
    global _look  # noqa: PLW0603 - as above
    if _look is None and (origins.any_noted() or _alarm_is_set()):
        from afterglow_hook import look as _look  # noqa: PLC0415 - as above
    return _look


def _alarm_is_set() -> bool:
    """Return whether an interval timer runs, other than one that Init has set."""
    return not current.alarm_of_init and bool(_signal.getitimer(_signal.ITIMER_REAL)[0])


def stand_around(bootstrap: Any) -> None:
    """Put our versions of the two globals into awslambdaric.bootstrap."""
    bootstrap._get_handler = _timed_import(bootstrap._get_handler)
    bootstrap.handle_event_request = _observed(bootstrap.handle_event_request)


def _timed_import(get_handler: Callable[[str], Any]) -> Callable[[str], Any]:
    def _get_handler(handler: str) -> Any:
        connect_fork()
        safely(imports.begin)
        began_ns, cpu_ns = time.monotonic_ns(), time.process_time_ns()
        failed: dict[str, Any] = {"error": "unknown"}
        try:
            found = get_handler(handler)
        except BaseException as raised:
            failed = failure_of(raised)
            raise
        else:
            failed = {"error": None}
            return found
        finally:
            fact = {"t": "init", "from": began_ns, "at": time.monotonic_ns(), **failed}
            wire.send({**fact, "cpu": time.process_time_ns() - cpu_ns})
            safely(imports.end_of_init)

    return _get_handler


def safely(step: Callable[[], None]) -> None:
    """Take a step of ours; give up if it raises."""
    try:
        step()
    except Exception as error:
        give_up(error)


def failure_of(raised: BaseException) -> dict[str, Any]:
    """Return the fields that tell what an import has raised."""
    error = getattr(raised, "exception_type", None) or type(raised).__name__
    return {"error": error, "origin": _origin_of_import(raised), **_message_of(raised)}


def _origin_of_import(raised: BaseException) -> list[list[object]]:
    """Return where an import failed; awslambdaric's own exceptions were raised while it handled the real one."""
    cause = raised.__context__ if hasattr(raised, "exception_type") else raised
    try:
        return [] if cause is None else _site_of_cause(cause)
    except Exception as error:
        give_up(error)
        return []


def _site_of_cause(cause: BaseException) -> list[list[object]]:
    site = spelled(site_of_error(cause))
    if isinstance(cause, SyntaxError) and cause.filename and cause.lineno:
        site.insert(0, [cause.filename, cause.lineno, "<module>"])
    return site


def _message_of(raised: object) -> dict[str, str]:
    """Return the field that holds what was raised says, if AFTERGLOW_ERROR_MESSAGES is on."""
    if os.environ.get("AFTERGLOW_ERROR_MESSAGES", "").lower() not in ("on", "1", "true"):
        return {}
    try:
        said = str(getattr(raised, "msg", raised) if hasattr(raised, "exception_type") else raised)
    except Exception:  # the user's own __str__ failed: it has nothing to say
        return {}
    return {"message": said[:_MESSAGE_CHARACTERS].encode("utf-8", "replace").decode()}  # a lone surrogate is no text


def _observed(handle_event_request: Callable[..., Any]) -> Callable[..., Any]:
    def _handle_event_request(client: Any, request_handler: Any, invoke_id: str, *rest: Any, **named: Any) -> Any:
        if not current.alive or wire.is_silent():
            return handle_event_request(client, request_handler, invoke_id, *rest, **named)
        invocation = open_invocation(invoke_id)

        def handler(event: Any, context: Any) -> Any:
            invocation.enter()
            try:
                return request_handler(event, context)
            except BaseException as error:
                invocation.fail(error)
                raise
            finally:
                invocation.leave()

        try:
            return handle_event_request(client, handler, invoke_id, *rest, **named)
        finally:
            look_at_open()

    return _handle_event_request


def noted(make_error: Callable[..., Any], note_raised: Callable[[BaseException | None], None]) -> Callable[..., Any]:
    """Note the errors that no handler raised: an event that is no JSON, a result that cannot become any."""

    def _make_error(*parts: Any, **named: Any) -> Any:
        safely(lambda: _note_error(*parts))
        return make_error(*parts, **named)

    def _note_error(message: Any, kind: Any, trace: Any, request_id: Any = None) -> None:
        del trace
        if not current.alive or wire.is_silent():
            return
        raised = sys.exc_info()[1]
        if request_id is None:  # Init's
            note_raised(raised)
            return
        invocation = _open if _open is not None and _open.request_id == request_id else open_invocation(request_id)
        if not invocation.left_ns and raised is not None and site_of_error(raised):
            note_raised(raised)  # the handler raised what is the client's own to raise
        elif invocation.error is None:
            leave_open()
            invocation.error, invocation.message = str(kind), _message_of(message)
            if kind == "Runtime.MarshalError" and raised is not None and raised.__traceback__ is not None:
                _explain(invocation, raised.__traceback__.tb_frame)

    return _make_error


def _explain(invocation: _Invocation, client: FrameType) -> None:
    """Note why the result cannot become JSON; ``client`` is the frame that holds it, and the handler."""
    from afterglow_hook import results  # noqa: PLC0415 - most functions never need it

    known = client.f_locals
    for name in [name for name, value in known.items() if isinstance(value, BaseException)]:
        if type(known) is dict:  # before 3.13 a copy that the frame keeps: a circle, which would keep the result alive
            del known[name]
    try:
        invocation.cause, invocation.origin = results.explain(known["response"], known["request_handler"])
    except Exception:  # the user's own objects are asked what they are, and may answer anything
        invocation.cause = ""


# -- the open invocation: one at a time in a process, on Managed Instances, too ------------------------------


def open_invocation(request_id: str) -> _Invocation:
    """Begin an invocation; its handler has not been entered yet."""
    global _open  # noqa: PLW0603 - which one is open is this module's topic
    _open = invocation = _Invocation(request_id)
    return invocation


def enter_open(_: object = None) -> None:
    """Note that the handler is about to be entered."""
    if _open is not None:
        _open.enter()


def leave_open() -> None:
    """Note that the handler is through, once."""
    if _open is not None and _open.entered_ns and not _open.left_ns:
        _open.leave()


def fail_open(error: BaseException) -> None:
    """Note what has come out of the handler, unless it was through by then."""
    if _open is not None and _open.entered_ns and not _open.left_ns:
        _open.leave()
        _open.fail(error)


def look_at_open() -> None:
    """Look at what the invocation has left behind, now that its answer has gone."""
    global _open
    invocation, _open = _open, None
    if invocation is not None:
        invocation.look()


class _Invocation:
    """One invocation's clocks. ``enter`` and ``leave`` stand on the handler's path; ``look`` after the answer."""

    __slots__ = (
        "cause",
        "clocks",
        "entered_ns",
        "error",
        "highest_rss_kib",
        "index",
        "left_ns",
        "message",
        "origin",
        "own_ns",
        "reaped_kib",
        "request_id",
        "usage_in",
        "usage_out",
    )

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.error: str | None = None
        self.origin: list[list[object]] = []
        self.cause = ""
        self.message: dict[str, str] = {}
        self.entered_ns = self.left_ns = self.own_ns = self.index = 0
        self.clocks: dict[int, int | None] = {}
        self.usage_in: tuple[float, ...] = (0.0, 0.0)
        self.usage_out: tuple[float, ...] = (0.0, 0.0)
        self.highest_rss_kib = self.reaped_kib = 0

    def enter(self) -> None:
        """Tell the extension at once: should the handler never return, this is all there will be."""
        _uncollected(self._enter)

    def _enter(self) -> None:
        began_ns = time.monotonic_ns()
        try:
            if not current.index:
                current.alarm_of_init = _alarm_is_set()
            _begin(self.request_id)
            self.index = current.index
            fact: dict[str, Any] = {"t": "entered", "id": self.request_id, "n": self.index}
            looking = _looking()
            woken = looking.at_entry() if looking and (origins.threads or looking.open_works) else []
            fact["works"] = looking.updates() if looking else []
            _tell_found(woken)
            self.usage_in = resource.getrusage(resource.RUSAGE_SELF)[:2]
            fact["at"] = self.entered_ns = current.entered_ns = time.monotonic_ns()
            current.running = True
            wire.send(fact)
        except Exception as error:
            give_up(error)
        self.own_ns = time.monotonic_ns() - began_ns

    def fail(self, error: BaseException) -> None:
        """Note what was raised, and where; what it says only where a setting allows it."""
        self.error = type(error).__name__[:_LONGEST_NAME]
        self.message = _message_of(error)
        try:
            self.origin = spelled(site_of_error(error))
        except Exception as wrong:
            give_up(wrong)

    def leave(self) -> None:
        """Stop the clocks."""
        self.left_ns = current.left_ns = time.monotonic_ns()
        current.running = False
        if not current.alive:
            return
        try:
            self.usage_out = resource.getrusage(resource.RUSAGE_SELF)
            self.highest_rss_kib = self.usage_out[2]
            self.reaped_kib = figures.reaped_kib()
            looking = _looking()
            self.clocks = looking.clocks() if looking else {}
        except Exception as error:
            give_up(error)
        self.own_ns += time.monotonic_ns() - self.left_ns

    def look(self) -> None:
        """Look for what was left behind, and tell."""
        if not self.left_ns:  # the event could not be decoded: the handler never ran
            self.enter()
            self.leave()
        if current.alive:
            _uncollected(self._look)

    def _look(self) -> None:
        began_ns = time.monotonic_ns()
        try:
            looking = _looking()
            updates = looking.updates() if looking else []
            _tell_found(looking.after_return(self.clocks) if looking else [])
            for fact in looking.heaps() if looking else ():
                wire.send(fact)
            fact = {
                "t": "returned",
                "id": self.request_id,
                "n": self.index,
                "from": self.entered_ns,
                "at": self.left_ns,
                "error": self.error,
                "works": updates,
                "user": self.usage_out[0] - self.usage_in[0],
                "system": self.usage_out[1] - self.usage_in[1],
                "unlooked": looking.take_unlooked() if looking else 0,
                **figures.own(self.highest_rss_kib),
            }
            if self.reaped_kib:
                fact["reaped"] = self.reaped_kib * 1024
            if self.error is not None:
                fact["origin"] = self.origin
                if self.cause:
                    fact["cause"] = self.cause
                fact.update(self.message)
            fact["own"] = self.own_ns + time.monotonic_ns() - began_ns
            wire.send(fact)
            if imports.watching:
                imports.tell(self.index)
        except Exception as error:
            give_up(error)


def _tell_found(works: list[Any]) -> None:
    """Announce new work in messages of a bounded size."""
    announcements = [work.announcement() for work in works]
    while announcements or _cancelled:
        wire.send({"t": "found", "new": announcements[:_PER_MESSAGE], "lost": _cancelled[:_PER_MESSAGE]})
        del announcements[:_PER_MESSAGE], _cancelled[:_PER_MESSAGE]
    for work in works:
        work.tell_end()


def connect_fork() -> None:
    """Connect a worker that was forked after the hook was installed (Managed Instances)."""
    if wire.is_forked() and wire.connect():
        wire.say_hello(time.monotonic_ns())


def _begin(request_id: str) -> None:
    connect_fork()
    current.previous, current.previous_left_ns = (current.request_id, current.index or None), current.left_ns
    current.request_id = request_id
    current.index += 1
    current.handler_thread = _get_ident()
    current.acting_for.set((request_id, current.index))


def note_cancelled(tasks: Any) -> None:
    """Note tasks that asyncio.run is about to cancel: work that was started and cut short."""
    if current.request_id is None:
        return
    from afterglow_hook.waits import IDLE, task_state  # noqa: PLC0415 - where nothing is cancelled, nobody needs it

    for task in tasks:
        origin = origins.tasks.get(id(task))
        if origin is None or task.done() or len(_cancelled) >= _MOST_CANCELLED:
            continue
        state = task_state(task.get_coro())[0]
        if state != IDLE:
            _cancelled.append(
                {
                    "name": origin.name,
                    "site": spelled(origin.site),
                    "id": origin.request_id,
                    "n": origin.index,
                    "state": state,
                    "at": time.monotonic_ns(),
                }
            )


def note_destroyed(task: Any) -> None:
    """Note a task that is no more, though it was pending: its loop was closed, or nobody kept it."""
    origin = origins.tasks.get(id(task)) or origins.just_gone.pop(id(task), None)
    if origin is None or origin.request_id is None or origin.work is not None or len(_cancelled) >= _MOST_CANCELLED:
        return
    _cancelled.append(
        {
            "name": origin.name,
            "site": spelled(origin.site),
            "id": origin.request_id,
            "n": origin.index,
            "state": "pending",
            "at": time.monotonic_ns(),
            "reason": "destroyed while it was pending",
        }
    )


def forget_all() -> None:
    """In a forked child: the parent's invocation is not ours to report."""
    if _look is not None:
        _look.forget_all()
    imports.forget_all()
    _cancelled.clear()
