"""Which request is which call, and the faults that tests put in front of it.

In: a request. Out: a reply, noted in the journal on both ends as ``api.<route>`` and ``reply.<route>``.
"""

import re
from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from afterglow_layer.emulator import extensions_api, replies, runtime_api
from afterglow_layer.emulator.sandbox import Sandbox
from afterglow_layer.emulator.states import Refused
from afterglow_layer.emulator.wire import Reply, Request


class Route(NamedTuple):
    """A method, a pattern for the whole path, a name for the journal and for Misbehaviour, and the call."""

    method: str
    path: str
    name: str
    call: Callable[..., Reply]


RUNTIME, EXTENSION = "/2018-06-01/runtime", "/2020-01-01/extension"

ROUTES = [
    Route("GET", f"{RUNTIME}/invocation/next", "runtime-next", runtime_api.next_invocation),
    Route("POST", f"{RUNTIME}/invocation/([^/]+)/response", "response", runtime_api.respond),
    Route("POST", f"{RUNTIME}/invocation/([^/]+)/error", "invocation-error", runtime_api.respond_with_error),
    Route("POST", f"{RUNTIME}/init/error", "runtime-init-error", runtime_api.init_error),
    Route("GET", f"{RUNTIME}/restore/next", "restore-next", runtime_api.restore_next),
    Route("POST", f"{RUNTIME}/restore/error", "restore-error", runtime_api.restore_error),
    Route("POST", f"{EXTENSION}/register", "register", extensions_api.register),
    Route("GET", f"{EXTENSION}/event/next", "extension-next", extensions_api.next_event),
    Route("POST", f"{EXTENSION}/init/error", "extension-init-error", extensions_api.init_error),
    Route("POST", f"{EXTENSION}/exit/error", "extension-exit-error", extensions_api.exit_error),
    Route("PUT", "/2022-07-01/telemetry/?", "telemetry", extensions_api.subscribe),
]


class Router:
    """Answers requests for one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._calls: Counter[str] = Counter()
        self._lock = Lock()

    def __call__(self, request: Request) -> Reply:
        """Return the reply to one request."""
        for route in ROUTES:
            match = re.fullmatch(route.path, request.path)
            if match and route.method == request.method:
                return self._answer(route, request, match.groups())
        self._sandbox.journal.note("api.unknown", "?", method=request.method, path=request.path)
        return Reply(404, b"404 page not found\n")

    def _answer(self, route: Route, request: Request, arguments: tuple[str, ...]) -> Reply:
        who = self._who(request)
        self._sandbox.journal.note(f"api.{route.name}", who, bytes=len(request.body))
        reply = self._fault(route.name)
        if reply is None:
            try:
                reply = route.call(self._sandbox, request, *arguments)
            except Refused as refused:
                reply = replies.refusal(refused)
        self._sandbox.journal.note(f"reply.{route.name}", who, status=reply.status, body=reply.body, reset=reply.reset)
        return reply

    def _fault(self, name: str) -> Reply | None:
        """Return the fault that this call meets, if the test asked for one; resets come before 500s."""
        with self._lock:
            self._calls[name] += 1
            nth = self._calls[name]
        misbehave = self._sandbox.misbehave
        resets = misbehave.resets.get(name, 0)
        if nth <= resets:
            return Reply(reset=True)
        if nth <= resets + misbehave.errors_500.get(name, 0):
            return replies.json_reply(
                500, {"errorMessage": "Internal Server Error", "errorType": "InternalServerError"}
            )
        return None

    def _who(self, request: Request) -> str:
        """Name the caller: an extension by its identifier or its name, else the runtime."""
        if request.path.startswith(RUNTIME):
            return "runtime"
        given = request.headers.get(extensions_api.IDENTIFIER)
        for extension in self._sandbox.extensions:
            if extension.identifier == given:
                return extension.name
        return request.headers.get("Lambda-Extension-Name") or "?"
