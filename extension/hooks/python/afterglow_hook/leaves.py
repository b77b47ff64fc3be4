"""Around the handler without a frame below it: at what the runtime client looks up between its own calls.

In: awslambdaric.bootstrap. Out: Init's fact, and an invocation's ``enter``, ``fail``, ``leave`` and ``look``. Nothing
of ours is called by the client around the handler or its import, so both stand where they do without us, and recursion
that just fits there still fits (docs/decisions/0024-nothing-below-the-handler.md). What is looked up:

    client.wait_next_invocation         the last answer has gone: look, and stand in for ``client.marshaller``
    importlib.import_module             the handler's import begins; it has ended when what we gave out is dropped
    marshaller.unmarshal_request        the same: dropped when the event is there, the last thing before the handler
    marshaller.marshal_response         the handler has returned
    extract_traceback, make_error       it has raised, or its import has
    the log sink's ``__exit__``         something has come out of it that the client does not catch
"""

from __future__ import annotations

import sys
from functools import partial
from time import monotonic_ns, process_time_ns
from weakref import ref

from afterglow_hook import bootstrap, current, imports, wire
from afterglow_hook.guard import give_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

_NAMES = {
    "handle_event_request": ("marshaller", "unmarshal_request", "marshal_response", "extract_traceback", "make_error"),
    "run": ("_get_handler", "build_fault_result", "wait_next_invocation", "_GLOBAL_AWS_REQUEST_ID"),
    "_get_handler": ("importlib", "import_module"),
}
"""What these look up, in awslambdaric 2.0 to 4.2; another client is observed as it was before, by ``bootstrap``."""

_client: Any = None  # awslambdaric.bootstrap
_watched: Any = None  # a weak reference to what is about to be called
_init: dict[str, Any] | None = None  # Init's fact, until it is told


def fits(client: ModuleType) -> bool:
    """Return whether the client looks up what we stand in for."""
    return all(
        set(names) <= set(getattr(getattr(client, function, None), "__code__", fits.__code__).co_names)
        for function, names in _NAMES.items()
    ) and bool(_client_classes(client))


def attach(client: Any) -> None:
    """Observe awslambdaric.bootstrap; twice is once."""
    if getattr(client, "_afterglow_attached", False):
        return
    client._afterglow_attached = True
    if hasattr(client, "make_error"):
        client.make_error = bootstrap.noted(client.make_error, note_raised)
    if fits(client):
        _stand_in(client)
    else:
        bootstrap.stand_around(client)


def _stand_in(client: Any) -> None:
    """Stand in for what the client looks up."""
    global _client, _init
    _client, _init = client, {"t": "init", "from": 0, "at": 0}
    client.importlib = _Importlib(client.importlib)
    client.extract_traceback = _traceback_noted(client.extract_traceback)
    if hasattr(client, "on_init_complete"):
        client.on_init_complete = called_beside(client.on_init_complete, lambda _: _tell_init(None))
    for kind in _client_classes(client):
        kind.wait_next_invocation = _Next(vars(kind)["wait_next_invocation"])
    for kind in _classes(client, "log_error"):
        kind.__exit__ = _exit_noted(kind.__exit__)


def _classes(module: Any, method: str) -> list[Any]:
    return [kind for kind in vars(module).values() if isinstance(kind, type) and method in vars(kind)]


def _client_classes(client: Any) -> list[Any]:
    module = sys.modules.get(f"{client.__package__}.lambda_runtime_client")
    return _classes(module, "wait_next_invocation") if module is not None else []


def called_beside(function: Any, note: Callable[[Any], None]) -> Any:
    """Return what calls ``function`` from C, and ``note`` with the caller's frame before it.

    The type's ``__call__`` is looked up by the interpreter: the lookup is ours, the call is not.
    """

    class Lookup:
        __slots__ = ()

        def __get__(self, called: object, owner: object = None) -> Any:
            note(sys._getframe(1))
            return function

    class Called:
        __call__: Any = Lookup()

        def __reduce__(self) -> str:
            return str(function.__name__)

        def __repr__(self) -> str:
            return repr(function)

    called: Any = Called()
    for name in ("__doc__", "__module__", "__name__", "__qualname__", "__self__"):
        if hasattr(function, name):
            setattr(called, name, getattr(function, name))
    called.__wrapped__ = function
    return called


def _dropped_after(function: Any, done: Callable[[Any], None]) -> Any:
    """Return the function as something that is dropped, and so told of, once it has been called."""
    global _watched  # noqa: PLW0603 - as above
    once = partial(function)
    _watched = ref(once, done)
    return once


# -- Init ----------------------------------------------------------------------------------------------------


class _Importlib:
    """``importlib`` as ``_get_handler`` sees it."""

    def __init__(self, real: Any) -> None:
        self.__dict__.update(_real=real)

    @property
    def import_module(self) -> Any:
        """Begin to time, for ``_get_handler``."""
        if _init is None or sys._getframe(1).f_code.co_name != "_get_handler":
            return self._real.import_module
        _begin_init()
        return _dropped_after(self._real.import_module, _end_init)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _begin_init() -> None:
    if _init is None:
        return
    bootstrap.safely(bootstrap.connect_fork)
    bootstrap.safely(imports.begin)
    _init["from"], _init["cpu"] = monotonic_ns(), process_time_ns()


def _end_init(_: object) -> None:
    if _init is not None and not _init["at"]:
        _init["at"], _init["cpu"] = monotonic_ns(), process_time_ns() - _init.get("cpu", 0)
        bootstrap.safely(imports.end_of_init)


def _tell_init(raised: BaseException | None) -> None:
    """Tell how Init has ended, once."""
    global _init
    if _init is None:
        return
    if not _init["from"]:  # what the handler is called was wrong: nothing was imported
        _begin_init()
    _end_init(None)
    fact, _init = _init, None
    wire.send({**fact, **(bootstrap.failure_of(raised) if raised is not None else {"error": None})})


# -- invocations ---------------------------------------------------------------------------------------------


class _Next:
    """``wait_next_invocation``, as the client's class holds it."""

    __slots__ = ("_function",)

    def __init__(self, function: Any) -> None:
        self._function = function

    def __get__(self, client: Any, owner: Any = None) -> Any:
        if client is not None:
            try:
                _between(client)
            except Exception as error:
                give_up(error)
        return self._function.__get__(client, owner)


def _between(client: Any) -> None:
    """Look at what the last invocation has left behind, and await the next one."""
    if _init is not None:
        _tell_init(None)
    bootstrap.look_at_open()
    attributes = client.__dict__
    mine = attributes.get("marshaller")
    if not current.alive or wire.is_silent():
        if type(mine) is _Marshaller:
            mine.step_aside()
    elif type(mine) is not _Marshaller:
        attributes["marshaller"] = _Marshaller(client)


class _Marshaller:
    """Stands in for ``client.marshaller``, which is a class attribute that a function may have put another one in."""

    __slots__ = ("_attributes", "_client", "_own")

    def __init__(self, client: Any) -> None:
        self._client = client
        self._attributes = vars(client)
        self._own = self._attributes.get("marshaller")

    def step_aside(self) -> None:
        """Leave the client as it was."""
        del self._attributes["marshaller"]
        if self._own is not None:
            self._attributes["marshaller"] = self._own

    @property
    def unmarshal_request(self) -> Any:
        """Begin an invocation: its handler is entered when this has been called."""
        global _watched  # noqa: PLW0603 - as above
        bootstrap.open_invocation(_client._GLOBAL_AWS_REQUEST_ID)
        real = self._own if self._own is not None else type(self._client).marshaller
        once = partial(real.unmarshal_request)
        _watched = ref(once, bootstrap.enter_open)
        return once

    @property
    def marshal_response(self) -> Any:
        """Stop the clocks: the handler has just returned."""
        bootstrap.leave_open()
        real = self._own if self._own is not None else type(self._client).marshaller
        return real.marshal_response

    def __getattr__(self, name: str) -> Any:
        real = self._own if self._own is not None else type(self._client).marshaller
        return getattr(real, name)


def _traceback_noted(extract_traceback: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def _extract_traceback(traceback: Any) -> Any:
        note_raised(sys.exc_info()[1])
        return extract_traceback(traceback)

    return _extract_traceback


def _exit_noted(leave: Callable[..., Any]) -> Callable[..., Any]:
    def __exit__(sink: Any, kind: Any, raised: Any, traceback: Any) -> Any:  # noqa: N807
        if raised is not None:
            note_raised(raised)
            bootstrap.safely(bootstrap.look_at_open)
        return leave(sink, kind, raised, traceback)

    return __exit__


def note_raised(raised: BaseException | None) -> None:
    """Note what has come out of the handler, or of its import."""
    if raised is None:
        return
    if _init is not None:
        bootstrap.safely(lambda: _tell_init(raised))
    else:
        bootstrap.fail_open(raised)
