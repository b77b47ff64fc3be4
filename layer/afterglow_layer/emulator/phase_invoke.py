"""The Invoke phase: one invocation from the thaw to the freeze.

In: a sandbox and an invocation. Out: the caller's answer, the phase's telemetry, and a sandbox that waits for
the next one, or that was reset. Managed Instances serve differently: phase_managed.
"""

import time

from afterglow_layer.emulator import answer, facts, replies
from afterglow_layer.emulator.answer import Invocation
from afterglow_layer.emulator.figures import SUCCESS, TIMED_OUT, Ending, Span
from afterglow_layer.emulator.parties import Exchange, Fault, Faulted, OutOfTime
from afterglow_layer.emulator.phase_freeze import freeze, thaw
from afterglow_layer.emulator.phase_init import InitFailed, initialise
from afterglow_layer.emulator.phase_restore import restore
from afterglow_layer.emulator.phase_shutdown import shut_down
from afterglow_layer.emulator.reporting import (
    Preparation,
    emit_report,
    emit_runtime_done,
    emit_start,
    epoch_ms,
)
from afterglow_layer.emulator.sandbox import Sandbox
from afterglow_layer.emulator.settings import InitType, ShutdownReason
from afterglow_layer.emulator.states import ExtensionState, RuntimeState


def serve(sandbox: Sandbox, invocation: Invocation) -> None:
    """Serve one invocation to its end."""
    thaw(sandbox)
    exchange = new_exchange(sandbox, invocation)
    before = Preparation()
    reason: ShutdownReason | None = None
    ending = SUCCESS
    try:
        before = _prepare(sandbox)
        exchange = new_exchange(sandbox, invocation)
        _run(sandbox, invocation, exchange)
    except OutOfTime:
        ending, reason = TIMED_OUT, ShutdownReason.TIMEOUT
        body = answer.timeout_body(invocation.request_id, sandbox.settings.timeout_ms)
        invocation.give(200, body, "Sandbox.Timedout")
    except Faulted as broken:
        ending, reason = ending_of(broken.fault), ShutdownReason.FAILURE
        give_fault(invocation, exchange, broken.fault)
    _finish(sandbox, invocation, exchange, before=before, ending=ending, reason=reason)


def start_cold(sandbox: Sandbox) -> float | None:
    """Run the Init phase and return its ms; None: it failed, was reset, and runs again inside the invocation.

    Lambda docs, execution environment: a failed Init phase is retried at the time of the first invocation.
    """
    try:
        return initialise(sandbox, "init", sandbox.settings.init_limit_ms)
    except InitFailed as failed:
        shut_down(sandbox, ShutdownReason.TIMEOUT if failed.fault is None else ShutdownReason.FAILURE)
        return None


def new_exchange(sandbox: Sandbox, invocation: Invocation) -> Exchange:
    """Return the exchange with the runtime, which begins now."""
    settings = sandbox.settings
    began_mono_ns = time.monotonic_ns()
    deadline = int(epoch_ms(began_mono_ns)) + settings.timeout_ms  # Wall clock, as the context object wants it.
    extra = {
        "Lambda-Runtime-Trace-Id": invocation.trace,
        "Lambda-Runtime-Client-Context": invocation.client_context,
    }
    return Exchange(
        invocation.request_id,
        replies.invocation(invocation.request_id, invocation.event, deadline, settings.function_arn, extra),
        replies.invoke_event(invocation.request_id, deadline, settings.function_arn, invocation.trace),
        began_mono_ns,
        began_mono_ns / 1e9 + settings.timeout_ms / 1000,
    )


def ending_of(fault: Fault) -> Ending:
    """Return how telemetry calls a fault (RIE source, rapid/handlers.go, handleReset)."""
    return Ending("failure" if fault.error_type.startswith("Sandbox.") else "error", fault.error_type)


def give_fault(invocation: Invocation, exchange: Exchange, fault: Fault) -> None:
    """Answer 502: with what had already been answered for the function, be it its body or a refusal (seen on RIE)."""
    if exchange.refused is not None:
        invocation.give(502, answer.too_large_body(facts.MAX_PAYLOAD_BYTES), exchange.refused)
        return
    posted = exchange.response
    body = answer.fault_body(invocation.request_id, fault) if posted is None else posted
    invocation.give(502, body, fault.error_type)


def give_response(sandbox: Sandbox, invocation: Invocation, exchange: Exchange) -> None:
    """Answer with what the runtime posted; a handler that raised is a 200 with the error as its body."""
    body = exchange.response or b""
    if exchange.refused is not None:
        invocation.give(200, answer.too_large_body(facts.MAX_PAYLOAD_BYTES), exchange.refused)
    elif exchange.error_type is not None:
        invocation.give(200, body, answer.error_type_of(body, exchange.error_type))
    else:
        invocation.give(200, body)
    sandbox.journal.note("invoke.answered", "platform", request_id=invocation.request_id)


def _prepare(sandbox: Sandbox) -> Preparation:
    """Init or restore where one is due; neither counts against the function's timeout."""
    if sandbox.ready and sandbox.restore_due:
        return Preparation(restore_ms=restore(sandbox))
    if sandbox.ready or sandbox.was_reset:
        return Preparation()
    init_ms = start_cold(sandbox)
    return Preparation(init_ms if sandbox.settings.init_type is InitType.ON_DEMAND else None)


def _run(sandbox: Sandbox, invocation: Invocation, exchange: Exchange) -> None:
    """Hand the invocation out, and wait for the response, for the runtime, and for the extensions."""
    deadline = exchange.deadline_mono_s
    if not sandbox.ready:
        _initialise_inside(sandbox, invocation, deadline)
    emit_start(sandbox, invocation)
    _release_everyone(sandbox, exchange)
    sandbox.wait_until(lambda: exchange.response is not None, deadline)
    if sandbox.settings.early_response:
        give_response(sandbox, invocation, exchange)
    sandbox.wait_until(lambda: sandbox.runtime.state is RuntimeState.READY, deadline)
    emit_runtime_done(sandbox, invocation, exchange, SUCCESS)
    waited_from = time.monotonic_ns()
    sandbox.wait_until(lambda: _all_ready(sandbox), deadline)
    if sandbox.extensions:
        exchange.overhead = Span("extensionOverhead", epoch_ms(waited_from), (time.monotonic_ns() - waited_from) / 1e6)
    if not sandbox.settings.early_response:
        give_response(sandbox, invocation, exchange)


def _all_ready(sandbox: Sandbox) -> bool:
    return all(extension.state is ExtensionState.READY for extension in sandbox.subscribed("INVOKE"))


def _initialise_inside(sandbox: Sandbox, invocation: Invocation, deadline_mono_s: float) -> None:
    """Run a suppressed init: ``phase: invoke``, on the function's own time."""
    try:
        initialise(sandbox, "invoke", (deadline_mono_s - time.monotonic()) * 1000)
    except InitFailed as failed:
        emit_start(sandbox, invocation)  # RIE source, handlers.go, doInvoke: START follows a failed init too.
        if failed.fault is None:
            raise OutOfTime from None
        raise Faulted(failed.fault) from None


def _release_everyone(sandbox: Sandbox, exchange: Exchange) -> None:
    """Extensions first, then the runtime (RIE source, handlers.go, doInvoke)."""
    with sandbox.lock:
        exchange.released_mono_ns = time.monotonic_ns()
        sandbox.exchanges = {exchange.request_id: exchange}
        for extension in sandbox.subscribed("INVOKE"):
            sandbox.deliver(extension, exchange.notice)
        sandbox.deliver(sandbox.runtime, exchange.reply)


def _finish(
    sandbox: Sandbox,
    invocation: Invocation,
    exchange: Exchange,
    *,
    before: Preparation,
    ending: Ending,
    reason: ShutdownReason | None,
) -> None:
    """Freeze at once, then report, which leaves at the thaw; or report what broke, and reset."""
    exchange.ended_mono_ns = time.monotonic_ns()
    if reason is None and sandbox.settings.freeze:
        freeze(sandbox)
    sandbox.note_memory()
    emit_runtime_done(sandbox, invocation, exchange, ending)
    tell_extensions = reason is None or sandbox.settings.report_before_shutdown
    if tell_extensions:
        emit_report(sandbox, invocation, exchange, before, ending)
    if reason is not None:
        shut_down(sandbox, reason)
    if not tell_extensions:
        emit_report(sandbox, invocation, exchange, before, ending)
    sandbox.exchanges = {}
