"""What the platform says about one invocation: START, runtimeDone, END, REPORT; as telemetry and log lines.

In: a sandbox, an invocation, its exchange with the runtime, and how it ended. Out: events and lines.
"""

import time
from typing import NamedTuple

from afterglow_layer.emulator import figures, telemetry_events
from afterglow_layer.emulator.answer import Invocation
from afterglow_layer.emulator.figures import TIMED_OUT, Ending, Report, Span
from afterglow_layer.emulator.parties import Exchange
from afterglow_layer.emulator.sandbox import Sandbox


class Preparation(NamedTuple):
    """What came before the invocation, for its report."""

    init_ms: float | None = None
    restore_ms: float | None = None


def epoch_ms(mono_ns: int) -> float:
    """Return the wall-clock time of a moment on the monotonic clock."""
    return time.time() * 1000 - (time.monotonic_ns() - mono_ns) / 1e6


def emit_start(sandbox: Sandbox, invocation: Invocation) -> None:
    """START in the log and in telemetry."""
    version = sandbox.settings.function_version
    sandbox.on_line("platform", f"START RequestId: {invocation.request_id} Version: {version}")
    sandbox.telemetry.emit("platform.start", telemetry_events.start(invocation.request_id, version, invocation.trace))


def emit_runtime_done(sandbox: Sandbox, invocation: Invocation, exchange: Exchange, ending: Ending) -> None:
    """platform.runtimeDone, once. A handler that raised is a success here: the runtime was done with it.

    So AWS in aws-samples/aws-lambda-extensions#85: "as intended (though we acknowledge how it might come
    across as confusing)".
    """
    if exchange.runtime_done:
        return
    exchange.runtime_done = True
    now = time.monotonic_ns()
    spans = response_spans(exchange)
    if spans:
        spans.append(Span("runtimeOverhead", epoch_ms(exchange.read_mono_ns), (now - exchange.read_mono_ns) / 1e6))
    record = telemetry_events.runtime_done(
        invocation.request_id,
        ending,
        duration_ms=(now - (exchange.released_mono_ns or now)) / 1e6,
        produced_bytes=exchange.refused_bytes or len(exchange.response or b""),
        spans=spans,
        trace=invocation.trace,
    )
    sandbox.telemetry.emit("platform.runtimeDone", record)


def emit_report(
    sandbox: Sandbox, invocation: Invocation, exchange: Exchange, before: Preparation, ending: Ending
) -> None:
    """platform.report with the lines END and REPORT."""
    report = _report(sandbox, exchange, before, ending)
    spans = [] if exchange.overhead is None else [exchange.overhead]
    record = telemetry_events.report(invocation.request_id, ending, report, spans, invocation.trace)
    sandbox.telemetry.emit("platform.report", record)
    sandbox.on_line("platform", f"END RequestId: {invocation.request_id}")
    sandbox.on_line("platform", figures.report_line(invocation.request_id, ending, report))


def emit_managed_report(sandbox: Sandbox, invocation: Invocation, exchange: Exchange, ending: Ending) -> None:
    """platform.report on Managed Instances, where no platform.runtimeDone comes before it (seen on RIE)."""
    duration_ms = (_end_mono_ns(exchange) - exchange.began_mono_ns) / 1e6
    record = telemetry_events.managed_report(
        invocation.request_id, ending, duration_ms, response_spans(exchange), invocation.trace
    )
    sandbox.telemetry.emit("platform.report", record)
    sandbox.on_line("platform", f"END RequestId: {invocation.request_id}")
    sandbox.on_line("platform", f"REPORT RequestId: {invocation.request_id}\tDuration: {duration_ms:.2f} ms")


def response_spans(exchange: Exchange) -> list[Span]:
    """Return responseLatency (released → first byte) and responseDuration (first byte → last)."""
    if not exchange.arrived_mono_ns:
        return []
    released, arrived, read = exchange.released_mono_ns, exchange.arrived_mono_ns, exchange.read_mono_ns
    return [
        Span("responseLatency", epoch_ms(released), (arrived - released) / 1e6),
        Span("responseDuration", epoch_ms(arrived), (read - arrived) / 1e6),
    ]


def _report(sandbox: Sandbox, exchange: Exchange, before: Preparation, ending: Ending) -> Report:
    """Duration includes the extensions' time after the response, and is billed with it (Lambda docs)."""
    settings = sandbox.settings
    spent_ms = (_end_mono_ns(exchange) - exchange.began_mono_ns) / 1e6
    duration_ms = float(settings.timeout_ms) if ending is TIMED_OUT else spent_ms
    peak = sandbox.peak_rss_bytes
    return Report(
        duration_ms,
        figures.billed_ms(duration_ms, before.init_ms, bill_init=settings.bill_init),
        settings.memory_mb,
        None if peak is None else -(-peak // (1024 * 1024)),
        before.init_ms,
        before.restore_ms,
    )


def _end_mono_ns(exchange: Exchange) -> int:
    return exchange.ended_mono_ns or time.monotonic_ns()
