"""The Invoke phase on Managed Instances: several invocations at once, no freeze, no INVOKE for extensions.

In: a sandbox that initialised ahead, and an invocation. Out: the caller's answer and platform.start and
platform.report (seen on RIE, AWS_LAMBDA_MAX_CONCURRENCY; there is no platform.runtimeDone). What a timeout
does to the environment is not documented: here the invocation alone ends.
"""

import time

from afterglow_layer.emulator import answer
from afterglow_layer.emulator.answer import Invocation
from afterglow_layer.emulator.figures import SUCCESS, TIMED_OUT
from afterglow_layer.emulator.parties import Exchange, Fault, Faulted, OutOfTime
from afterglow_layer.emulator.phase_init import InitFailed, initialise
from afterglow_layer.emulator.phase_invoke import ending_of, give_fault, give_response, new_exchange
from afterglow_layer.emulator.phase_shutdown import shut_down
from afterglow_layer.emulator.reporting import emit_managed_report, emit_start
from afterglow_layer.emulator.sandbox import Sandbox
from afterglow_layer.emulator.settings import ShutdownReason


def serve(sandbox: Sandbox, invocation: Invocation) -> None:
    """Serve one invocation beside others."""
    exchange = new_exchange(sandbox, invocation)
    ending = SUCCESS
    try:
        ensure_started(sandbox)
        exchange = new_exchange(sandbox, invocation)
        emit_start(sandbox, invocation)
        _release(sandbox, exchange)
        sandbox.wait_until(lambda: exchange.response is not None, exchange.deadline_mono_s)
        give_response(sandbox, invocation, exchange)
    except OutOfTime:
        ending = TIMED_OUT
        body = answer.timeout_body(invocation.request_id, sandbox.settings.timeout_ms)
        invocation.give(200, body, "Sandbox.Timedout")
    except Faulted as broken:
        ending = ending_of(broken.fault)
        give_fault(invocation, exchange, broken.fault)
    exchange.ended_mono_ns = time.monotonic_ns()
    sandbox.note_memory()
    emit_managed_report(sandbox, invocation, exchange, ending)
    with sandbox.lock:
        sandbox.exchanges.pop(exchange.request_id, None)
    _end_if_broken(sandbox)


def ensure_started(sandbox: Sandbox) -> None:
    """Initialise, if nobody has: an environment that broke is replaced by a new one."""
    with sandbox.turn:
        if sandbox.ready:
            return
        try:
            initialise(sandbox, "init", sandbox.settings.init_limit_ms)
        except InitFailed as failed:
            shut_down(sandbox, ShutdownReason.FAILURE)
            raise Faulted(failed.fault or Fault("Runtime.Unknown", "init timed out")) from None


def _release(sandbox: Sandbox, exchange: Exchange) -> None:
    with sandbox.lock:
        exchange.released_mono_ns = time.monotonic_ns()
        sandbox.exchanges[exchange.request_id] = exchange
        sandbox.deliver(sandbox.runtime, exchange.reply)


def _end_if_broken(sandbox: Sandbox) -> None:
    """End an environment that crashed (seen on RIE); the first invocation to notice sees to it."""
    with sandbox.turn:
        if sandbox.fault is not None:
            shut_down(sandbox, ShutdownReason.FAILURE)
