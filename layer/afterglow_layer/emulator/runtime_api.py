"""Runtime API 2018-06-01: next, response, error, init/error, restore/next, restore/error.

In: a request. Out: a reply, or Refused (RIE source, rapi/handler/invocation*.go, initerror.go, restore*.go).
On Managed Instances several workers ask for invocations at once, so there an invocation's own progress
decides what is allowed, and not the one runtime state.
"""

import re

from afterglow_layer.emulator import facts, replies
from afterglow_layer.emulator.parties import Exchange
from afterglow_layer.emulator.sandbox import Sandbox
from afterglow_layer.emulator.settings import InitType
from afterglow_layer.emulator.states import Refused, RuntimeCall, RuntimeState, next_runtime_state
from afterglow_layer.emulator.wire import Reply, Request

ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"


def next_invocation(sandbox: Sandbox, request: Request) -> Reply:  # noqa: ARG001 - all routes have one signature
    """GET /runtime/invocation/next: answered when there is an invocation."""
    runtime = sandbox.runtime
    with sandbox.lock:
        if _managed(sandbox):
            runtime.state = RuntimeState.READY
        else:
            runtime.state = next_runtime_state(runtime.state, RuntimeCall.NEXT)
        sandbox.changed()
        if runtime.state is RuntimeState.RUNNING:
            return next(iter(sandbox.exchanges.values())).reply  # The one in hand, again (RIE source, states.go).
        return sandbox.wait_for_mail(runtime)


def respond(sandbox: Sandbox, request: Request, request_id: str) -> Reply:
    """POST /runtime/invocation/ID/response; 413 beyond 6 MiB, which fails the invocation.

    The caller is answered in the function's stead (``give_fault``). awslambdaric raises RuntimeError out of its loop
    at a 413, "Failed to post invocation response", so that the runtime ends, and the environment with it.
    """
    too_large = _is_too_large(request)
    with sandbox.lock:
        exchange = _take(sandbox, request, request_id, RuntimeCall.RESPONSE)
        exchange.response = b"" if too_large else request.body
        exchange.refused = "Function.ResponseSizeTooLarge" if too_large else None
        exchange.refused_bytes = len(request.body) if too_large else 0
        sandbox.changed()
    if too_large:
        raise _too_large()
    return replies.accepted()


def respond_with_error(sandbox: Sandbox, request: Request, request_id: str) -> Reply:
    """POST /runtime/invocation/ID/error: the handler raised. Beyond 6 MiB it counts for nothing (seen on RIE)."""
    if _is_too_large(request):
        raise _too_large()
    with sandbox.lock:
        exchange = _take(sandbox, request, request_id, RuntimeCall.ERROR)
        exchange.response = request.body
        exchange.error_type = valid_error_type(request.headers.get(ERROR_TYPE) or "")
        sandbox.changed()
    return replies.accepted()


def init_error(sandbox: Sandbox, request: Request) -> Reply:
    """POST /runtime/init/error; the environment breaks when the runtime then exits. For restore hooks too."""
    with sandbox.lock:
        sandbox.runtime.state = next_runtime_state(sandbox.runtime.state, RuntimeCall.INIT_ERROR)
        _blame(sandbox, request)
    return replies.accepted()


def restore_next(sandbox: Sandbox, request: Request) -> Reply:  # noqa: ARG001 - all routes have one signature
    """GET /runtime/restore/next: answered, empty, after the restore (Lambda docs, SnapStart)."""
    if sandbox.settings.init_type is not InitType.SNAP_START:
        return Reply(404, b"404 page not found\n")  # RIE source, router.go: the route is not there otherwise.
    runtime = sandbox.runtime
    with sandbox.lock:
        runtime.state = next_runtime_state(runtime.state, RuntimeCall.RESTORE_NEXT)
        sandbox.changed()
        return sandbox.wait_for_mail(runtime)


def restore_error(sandbox: Sandbox, request: Request) -> Reply:
    """POST /runtime/restore/error: an after-restore hook failed."""
    with sandbox.lock:
        sandbox.runtime.state = next_runtime_state(sandbox.runtime.state, RuntimeCall.RESTORE_ERROR)
        _blame(sandbox, request)
    return replies.accepted()


def valid_error_type(given: str) -> str:
    """Return the error type that the platform shows (RIE source, fatalerror.go)."""
    if re.search(r"(Runtime|Function)\.[A-Z][a-zA-Z]+", given):
        return given
    return "Function.Unknown" if given.startswith("Function.") else "Runtime.Unknown"


def _is_too_large(request: Request) -> bool:
    return len(request.body) > facts.MAX_PAYLOAD_BYTES


def _too_large() -> Refused:
    message = f"Exceeded maximum allowed payload size ({facts.MAX_PAYLOAD_BYTES} bytes)."
    return Refused(413, "RequestEntityTooLarge", message)


def _take(sandbox: Sandbox, request: Request, request_id: str, call: RuntimeCall) -> Exchange:
    """Return the exchange that is answered now; its id is checked before the state (RIE source, middleware.go)."""
    exchange = sandbox.exchanges.get(request_id)
    if exchange is None:
        raise Refused(400, "InvalidRequestID", "Invalid request ID")
    if not _managed(sandbox):
        sandbox.runtime.state = next_runtime_state(sandbox.runtime.state, call)
    elif exchange.response is not None:
        raise Refused(400, "InvalidRequestID", "Invalid request ID")
    exchange.arrived_mono_ns = request.arrived_mono_ns
    exchange.read_mono_ns = request.read_mono_ns
    return exchange


def _blame(sandbox: Sandbox, request: Request) -> None:
    sandbox.blamed = sandbox.blamed or valid_error_type(request.headers.get(ERROR_TYPE) or "")
    sandbox.init_error_body = sandbox.init_error_body or request.body
    sandbox.changed()


def _managed(sandbox: Sandbox) -> bool:
    return sandbox.settings.init_type is InitType.MANAGED
