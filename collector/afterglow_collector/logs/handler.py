"""The log pipeline as a Lambda function: ``afterglow_collector.logs.handler.handler``.

In: events of a CloudWatch Logs subscription, or of a Kinesis stream that one feeds. Out: EMF and findings on
standard output, which the function's own log group turns into metrics, or to the sink in AFTERGLOW_LOGS_SINK.

Kinesis: the answer names the first record that failed in ``batchItemFailures`` (ReportBatchItemFailures must be on).
Lambda delivers again from the lowest number named, so what lies behind it is not touched now: nothing is counted
twice. A subscription has no such answer: the function fails, and Lambda invokes it again.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from afterglow.emf import Emitter
from afterglow.settings import Settings, from_env
from afterglow_collector.logs.pipeline import Item, Pipeline
from afterglow_collector.logs.subscription import Delivery, DeliveryError, direct_data, kinesis_items, read_delivery
from afterglow_collector.sinks.backoff import Backoff
from afterglow_collector.sinks.contract import UNMAKEABLE, Sink, SinkBatch, SinkRefused, SinkRetry
from afterglow_collector.sinks.spec import make_sinks

TRIES = 3
BACKOFF = Backoff(base_s=0.1, cap_s=1.0)  # billed time; Lambda's own retries have the patience
OWN_VARIABLES = ("AFTERGLOW_LOGS_SINK", "AFTERGLOW_LOGS_REPORTS", "AFTERGLOW_LOGS_UNDECODABLE")


class LogsFunction(NamedTuple):
    """What one environment of the function keeps between invocations."""

    pipeline: Pipeline
    sinks: list[Sink]
    skip_undecodable: bool
    clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "LogsFunction":
        """Return it as the environment variables say; SpecError names a sink that is none."""
        own = {name: environ.get(name, "").strip() for name in OWN_VARIABLES}
        settings, complaints = from_env({name: value for name, value in environ.items() if name not in own})
        for complaint in complaints:
            _say(complaint=complaint)
        groups = [group.strip() for group in own["AFTERGLOW_LOGS_REPORTS"].split(",") if group.strip()]
        return cls(
            Pipeline(settings.metrics, _emitter(settings), groups),
            make_sinks(own["AFTERGLOW_LOGS_SINK"] or "stdout", environ),
            own["AFTERGLOW_LOGS_UNDECODABLE"] == "skip",
        )

    def handle(self, event: dict[str, Any]) -> dict[str, Any]:
        """Take one event in, and return what Lambda wants to know; on an error, as if it had not come."""
        try:
            return self._handled(event)
        finally:
            self.pipeline.discard()  # what is left after a failure will be delivered again

    def _handled(self, event: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(event, dict):
            raise DeliveryError("this event is no object")
        if "awslogs" in event:
            self._add(direct_data(event))
            self._flush()
            return {}
        if "Records" in event:
            return {"batchItemFailures": [{"itemIdentifier": number} for number in self._kinesis(event)]}
        raise DeliveryError("neither awslogs nor Records: this event is of no CloudWatch Logs subscription")

    def _kinesis(self, event: dict[str, Any]) -> list[str]:
        """Return the sequence number from which Lambda shall deliver again, if there is one."""
        items = kinesis_items(event)
        failed: list[str] = []
        for number, data in items:
            try:
                self._add(data)
            except DeliveryError as error:
                _say(undecodable=number, problem=str(error))
                failed = [number]
                break
        try:
            self._flush()
        except SinkRetry as retry:
            _say(sink=retry.reason)
            return [items[0][0]]
        return failed

    def _add(self, data: str) -> None:
        try:
            delivery = read_delivery(data)
        except DeliveryError as error:
            if not self.skip_undecodable:
                raise
            _say(skipped=str(error))
            delivery = Delivery("", "", [])
        repeated = self.pipeline.add(delivery)
        if repeated:
            _say(repeated_reports=repeated, group=delivery.group, stream=delivery.stream)

    def _flush(self) -> None:
        now_ms = self.clock_ms()
        items, dropped = self.pipeline.take_items(now_ms)
        for sink in self.sinks:
            wanted = [item for item in items if item.kind in sink.kinds]
            if wanted:
                _add_up(dropped, _send(sink, wanted, now_ms))
        if dropped:
            _say(dropped=dropped)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Handle one event; the first call reads the settings."""
    if "function" not in _KEPT:
        _KEPT["function"] = LogsFunction.from_env(os.environ)
    return _KEPT["function"].handle(event)


_KEPT: dict[str, LogsFunction] = {}


def _send(sink: Sink, items: list[Item], now_ms: int) -> dict[str, int]:
    """Send with a few tries; return what was refused, by reason, or raise the last SinkRetry.

    What is refused as a whole, or runs into a bug of the sink's, is halved until the item is found that spoils it.
    """
    refused: dict[str, int] = {}
    parts, failures = [items], 0
    while parts:
        part = parts.pop()
        try:
            _add_up(refused, sink.send(SinkBatch(part, now_ms)))
        except SinkRefused as no:
            parts += _halved(part, no.reason, refused)
        except UNMAKEABLE as bug:
            parts += _halved(part, f"bug: {type(bug).__name__}", refused)
        except SinkRetry as retry:
            _add_up(refused, retry.refused)
            parts.append(part if retry.remaining is None else list(retry.remaining))  # type: ignore[arg-type]  # our own
            failures += 1
            if failures == TRIES:
                raise
            time.sleep(BACKOFF.wait_s(failures, 1.0, retry.after_s and min(retry.after_s, 1.0)))
    return refused


def _halved(items: list[Item], reason: str, refused: dict[str, int]) -> list[list[Item]]:
    """Return both halves, the second one first; nothing for an item that is refused alone, which is counted."""
    if len(items) == 1:
        _add_up(refused, {reason: 1})
        return []
    middle = len(items) // 2
    return [items[middle:], items[:middle]]


def _add_up(into: dict[str, int], counts: Mapping[str, int]) -> dict[str, int]:
    for reason, count in counts.items():
        into[reason] = into.get(reason, 0) + count
    return into


def _emitter(settings: Settings) -> Emitter:
    return Emitter(settings.namespace, settings.dimensions, settings.emf_values)


def _say(**facts: object) -> None:
    print(json.dumps({"afterglow_logs": facts}), file=sys.stderr, flush=True)
