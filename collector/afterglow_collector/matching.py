"""Which record belongs to which call of a local run.

In: records with the number of their environment, and what the caller saw. Out: entries of the run document. Pure.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from afterglow.records import Invocation, Record, Report
from afterglow_collector.facts import Call

Numbers = dict[tuple[int | None, str | None], int]
"""(environment, request id) → the invocation's number in the run."""


def invocations_of(records: Iterable[tuple[int | None, Invocation]], calls: list[Call]) -> list[dict[str, Any]]:
    """Return one entry per call, with the record that belongs to it; then records that no call explains."""
    waiting = {(number, record.request_id): (number, record) for number, record in records}
    entries = []
    for call in calls:
        key = next((key for key, (_, record) in waiting.items() if _belongs(record, call)), None)
        environment, record = waiting.pop(key) if key else (None, None)
        entries.append(_invocation(call.index, environment, record, call))
    after = max((call.index for call in calls), default=0)
    for number, (environment, record) in enumerate(waiting.values(), start=after + 1):
        entries.append(_invocation(number, environment, record, None))
    return entries


def completed(records: Iterable[tuple[int | None, Record]]) -> Iterator[tuple[int | None, Invocation]]:
    """Return the invocations, with what the platform said after they had been told; its figure is the better one."""
    records = list(records)
    late = {(number, report.request_id): report for number, report in records if isinstance(report, Report)}
    for number, record in records:
        if isinstance(record, Invocation):
            yield number, _with(record, late.get((number, record.request_id)))


def _with(record: Invocation, report: Report | None) -> Invocation:
    if report is None:
        return record
    said = {name: value for name, value in report._asdict().items() if value is not None and name not in _NO_FIGURES}
    sources = {**record.sources, **dict.fromkeys(said, "platform")}
    record = record._replace(**said, sources=sources)
    cpu_ms = (record.cpu_user_ms, record.cpu_system_ms)
    if "duration_ms" not in said or record.duration_ms is None or None in cpu_ms:
        return record
    waited_ms = max(0.0, record.duration_ms - sum(each or 0.0 for each in cpu_ms))
    return record._replace(wait_ms=round(waited_ms, 3), sources={**sources, "wait_ms": "platform"})


_NO_FIGURES = ("at_ms", "request_id")


def _belongs(record: Invocation, call: Call) -> bool:
    """By request id where the caller was told it (a 502 carries none), else by time: calls never overlap."""
    if call.request_id is not None:
        return record.request_id == call.request_id
    return _during(record.at_ms, call)


def _during(at_ms: int, call: Call) -> bool:
    # A time in records is cut to a whole millisecond, so it may lie up to one before the call was sent.
    return call.sent_at_ms - 1 <= at_ms <= call.sent_at_ms + call.took_ms


def _invocation(number: int, environment: int | None, record: Invocation | None, call: Call | None) -> dict[str, Any]:
    fields: dict[str, Any] = record._asdict() if record else dict.fromkeys(Invocation._fields)
    if record is None:
        fields["request_id"] = call.request_id if call else None
        fields["sources"] = {}
    seen = {k: v for k, v in call._asdict().items() if k not in ("index", "request_id")} if call else None
    return {"invocation": number, "environment": environment, **fields, "caller": seen}


def numbers_of(invocations: list[dict[str, Any]]) -> Numbers:
    """Return the number in the run of each (environment, request id)."""
    return {(i["environment"], i["request_id"]): i["invocation"] for i in invocations}


def init_numbers_of(environments: list[dict[str, Any]], calls: list[Call]) -> Numbers:
    """Return, as (environment, None), the call that each Init was for: the one that it began in."""
    return {
        (environment["environment"], None): call.index
        for environment in environments
        for call in calls
        if _during(environment["started_at_ms"], call)
    }
