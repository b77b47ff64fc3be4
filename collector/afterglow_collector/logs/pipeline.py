"""From deliveries to entries for a sink. In: deliveries of log events. Out: EMF, findings and record batches.

REPORT lines count only in log groups that are named for it: a function with the layer would be counted twice.
A record line needs its Environment, which stands before it in the stream, though perhaps in an earlier delivery:
environments are remembered by stream, and where one is unknown, the names of group and stream must do.
"""

from collections import OrderedDict
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from afterglow.aggregate import Aggregate
from afterglow.emf import Emitter, encode
from afterglow.records import Environment, Finding, Loss, Record
from afterglow.records import encode as encode_record
from afterglow_collector.logs.as_records import records_of
from afterglow_collector.logs.fetch import LogEvent
from afterglow_collector.logs.message import Verdict, read_message
from afterglow_collector.logs.origin import environment_of
from afterglow_collector.logs.recent import RecentReports
from afterglow_collector.logs.report_line import InitReport, Report
from afterglow_collector.logs.subscription import Delivery
from afterglow_collector.sinks.contract import EMF, FINDING, RECORD

MAX_ENVIRONMENTS = 10_000
MAX_MINUTES = 14 * 24 * 60  # what CloudWatch takes: a stream that was left alone for days comes in all at once
MAX_SERIES = 10_000


class Item(NamedTuple):
    """One entry for a sink."""

    seq: int
    kind: str
    at_ms: int
    payload: str


class Pipeline:
    """Takes deliveries, gives entries. ``report_groups``: patterns of log groups whose REPORT lines count."""

    def __init__(self, metrics: frozenset[str], emitter: Emitter, report_groups: Sequence[str] = ()) -> None:
        self.aggregate = Aggregate(metrics, MAX_MINUTES, MAX_SERIES)
        self.emitter = emitter
        self.report_groups = report_groups
        self._environments: OrderedDict[str, Environment] = OrderedDict()
        self._items: list[Item] = []
        self._recent = RecentReports()

    def add(self, delivery: Delivery) -> int:
        """Take in one stream's events; return how many REPORT lines repeat one that has counted."""
        repeated = 0
        records: list[Record] = []
        lost: dict[str, int] = {}
        reports_count = any(fnmatchcase(delivery.group, pattern) for pattern in self.report_groups)
        every = [(event, read_message(event.message)) for event in delivery.events]
        for event, found in every:
            if isinstance(found, Verdict):
                if found is not Verdict.OTHER:
                    lost[found.value] = lost.get(found.value, 0) + 1
            elif isinstance(found, InitReport):
                continue  # what came of it, the invocation's own line says
            elif not isinstance(found, Report):
                records.append(found)
            elif reports_count:
                repeated += self._recent.is_repeated(delivery.stream, found.request_id)
                self._learn(delivery, event, found.memory_mb)
                records.extend(records_of(found, event.at_ms))
        if lost:
            seen = len(records) + sum(lost.values())
            records.append(Loss(delivery.events[0].at_ms, "log-line", seen, len(records), lost))
        if records:
            self._take(delivery, records)
        return repeated

    def take_items(self, now_ms: int) -> tuple[list[Item], dict[str, int]]:
        """Return what there is to send, and what was dropped on the way, by reason; and start anew."""
        items, self._items = self._items, []
        windows = self.aggregate.take_all()
        output = encode(windows, self.emitter, now_ms)
        items += [Item(0, EMF, now_ms, line) for line in output.lines]
        dropped = {**self.aggregate.dropped, "too-old": output.too_old, "too-new": output.too_new}
        self.aggregate.dropped.clear()
        numbered = [item._replace(seq=number) for number, item in enumerate(items, start=1)]
        return numbered, {reason: count for reason, count in dropped.items() if count}

    def discard(self) -> None:
        """Forget what has been taken in: it will come again."""
        self._items = []
        self.aggregate.take_all()
        self.aggregate.dropped.clear()

    def _take(self, delivery: Delivery, records: list[Record]) -> None:
        key = f"{delivery.group}\0{delivery.stream}"
        environment = self._environment(key, delivery, records[0])
        batch = [encode_record(environment)]
        for record in records:
            if isinstance(record, Environment):
                environment = self._remember(key, record)
                continue
            self.aggregate.add(environment, record)
            line = encode_record(record)
            batch.append(line)
            if isinstance(record, Finding):
                self._items.append(Item(0, FINDING, record.at_ms, line))
        self._items.append(Item(0, RECORD, delivery.events[0].at_ms, "\n".join(batch)))

    def _environment(self, key: str, delivery: Delivery, first: Record) -> Environment:
        """Return the stream's environment: what it says itself, what it said before, or what its names say."""
        if isinstance(first, Environment):
            return self._remember(key, first)
        known = self._environments.get(key)
        return known or environment_of(delivery.group, delivery.stream, delivery.events[0].at_ms)

    def _learn(self, delivery: Delivery, event: LogEvent, memory_mb: int) -> None:
        """Remember a stream without the layer: its REPORT lines say the configured memory."""
        key = f"{delivery.group}\0{delivery.stream}"
        if key not in self._environments:
            self._remember(key, environment_of(delivery.group, delivery.stream, event.at_ms, memory_mb))

    def _remember(self, key: str, environment: Environment) -> Environment:
        self._environments[key] = environment
        self._environments.move_to_end(key)
        if len(self._environments) > MAX_ENVIRONMENTS:
            self._environments.popitem(last=False)
        return environment
