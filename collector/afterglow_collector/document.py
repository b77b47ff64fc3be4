"""One run as one JSON document (docs/run-document.md).

In: the records that the extension wrote, in order, and what the local run saw from outside. Out: plain dicts
and lists, ready for ``json.dump``. Nothing is judged or rounded here; the unknown is ``None``, never zero.
"""

from typing import Any, NamedTuple

from afterglow.records import (
    Environment,
    Finding,
    Footprint,
    Init,
    Invocation,
    Loss,
    Overhead,
    Record,
    Sample,
    Shutdown,
)
from afterglow_collector.facts import Call, RunFacts

__all__ = ["DOCUMENT_SCHEMA", "Call", "RunFacts", "build_document"]

DOCUMENT_SCHEMA = 1


class _Placed(NamedTuple):
    """A record and the environment that it belongs to: 1 for the first, None if none was announced."""

    environment: int | None
    record: Record


def build_document(records: list[Record], facts: RunFacts) -> dict[str, Any]:
    """Return the run as the JSON document that ``afterglow run --json`` writes."""
    placed = _placed(records)
    invocations = _invocations(placed, facts.calls)
    environments = _environments(placed)
    return {
        "schema": DOCUMENT_SCHEMA,
        "run": {name: value for name, value in facts._asdict().items() if name != "calls"},
        "environments": environments,
        "init": environments[0]["init"] if environments else None,
        "invocations": invocations,
        "findings": _findings(placed, invocations),
        "memory": _memory(placed, facts),
        "losses": _losses(placed),
        "overhead": _overhead(placed),
    }


def _placed(records: list[Record]) -> list[_Placed]:
    """Return the records with their environment's number; one that is announced again keeps its number."""
    numbers: dict[str, int] = {}
    current: int | None = None
    placed = []
    for record in records:
        if isinstance(record, Environment):
            current = numbers.setdefault(record.env_id, len(numbers) + 1)
        placed.append(_Placed(current, record))
    return placed


def _environments(placed: list[_Placed]) -> list[dict[str, Any]]:
    """Return one entry per environment: who it is, its Init, its Shutdown. The last word on each wins."""
    found: dict[int | None, dict[str, Any]] = {}
    for number, record in placed:
        if isinstance(record, Environment):
            entry = found.setdefault(number, {"environment": number, "init": None, "shutdown": None})
            entry.update(record._asdict())
        elif isinstance(record, Init) and number in found:
            found[number]["init"] = record._asdict()
        elif isinstance(record, Shutdown) and number in found:
            found[number]["shutdown"] = record._asdict()
    return list(found.values())


def _invocations(placed: list[_Placed], calls: list[Call]) -> list[dict[str, Any]]:
    """Return one entry per call, with the record that belongs to it; then records that no call explains."""
    waiting = {
        (number, record.request_id): (number, record) for number, record in placed if isinstance(record, Invocation)
    }
    entries = []
    for call in calls:
        key = next((key for key, (_, record) in waiting.items() if _belongs(record, call)), None)
        environment, record = waiting.pop(key) if key else (None, None)
        entries.append(_invocation(call.index, environment, record, call))
    after = max((call.index for call in calls), default=0)
    for number, (environment, record) in enumerate(waiting.values(), start=after + 1):
        entries.append(_invocation(number, environment, record, None))
    return entries


def _belongs(record: Invocation, call: Call) -> bool:
    """By request id where the caller was told it (a 502 carries none), else by time: calls never overlap."""
    if call.request_id is not None:
        return record.request_id == call.request_id
    # at_ms is cut to a whole millisecond, so it may lie up to one before the call was sent.
    return call.sent_at_ms - 1 <= record.at_ms <= call.sent_at_ms + call.took_ms


def _invocation(number: int, environment: int | None, record: Invocation | None, call: Call | None) -> dict[str, Any]:
    fields: dict[str, Any] = record._asdict() if record else dict.fromkeys(Invocation._fields)
    if record is None:
        fields["request_id"] = call.request_id if call else None
        fields["sources"] = {}
    seen = {k: v for k, v in call._asdict().items() if k not in ("index", "request_id")} if call else None
    return {"invocation": number, "environment": environment, **fields, "caller": seen}


def _findings(placed: list[_Placed], invocations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the last revision of each finding, in the order in which they first appeared."""
    revisions: dict[tuple[int | None, str], list[Finding]] = {}
    for number, record in placed:
        if isinstance(record, Finding):
            revisions.setdefault((number, record.finding_id), []).append(record)
    numbers = {(i["environment"], i["request_id"]): i["invocation"] for i in invocations}
    return [_finding(environment, known, numbers) for (environment, _), known in revisions.items()]


def _finding(
    environment: int | None, revisions: list[Finding], numbers: dict[tuple[int | None, str], int]
) -> dict[str, Any]:
    last = max(revisions, key=lambda finding: finding.revision)
    fields = last._asdict()
    where = {name: fields.pop(name) for name in ("file", "line", "function")}
    del fields["changes"]  # they are for adding lines up; here is the sum
    return {
        "kind": fields.pop("kind"),
        "what": fields.pop("what"),
        "name": fields.pop("name"),
        "where": where,
        "environment": environment,
        "invocation": numbers.get((environment, last.request_id or "")),
        "resumed_invocation": numbers.get((environment, last.resumed_in or "")),
        "ended": any("ended" in finding.changes for finding in revisions),
        **fields,
    }


def _memory(placed: list[_Placed], facts: RunFacts) -> dict[str, Any]:
    return {
        "configured_mb": facts.memory_mb,
        "samples": [{"environment": n, **r._asdict()} for n, r in placed if isinstance(r, Sample)],
        "footprints": [{"environment": n, **r._asdict()} for n, r in placed if isinstance(r, Footprint)],
    }


def _losses(placed: list[_Placed]) -> dict[str, dict[str, Any]]:
    """Return the ledger, per kind of record: seen = emitted + the sum of dropped."""
    ledger: dict[str, dict[str, Any]] = {}
    for _, record in placed:
        if isinstance(record, Loss):
            entry = ledger.setdefault(record.of, {"seen": 0, "emitted": 0, "dropped": {}})
            entry["seen"] += record.seen
            entry["emitted"] += record.emitted
            for reason, count in record.dropped.items():
                entry["dropped"][reason] = entry["dropped"].get(reason, 0) + count
    return ledger


def _overhead(placed: list[_Placed]) -> dict[str, Any]:
    """Return sums over the run; the resident memory is the highest that was seen."""
    parts = [record for _, record in placed if isinstance(record, Overhead)]
    return {
        "agent_cpu_ms": sum(part.agent_cpu_ms for part in parts) if parts else None,
        "agent_rss_bytes": max((p.agent_rss_bytes for p in parts if p.agent_rss_bytes is not None), default=None),
        "hook_ms": sum(part.hook_ms for part in parts) if parts else None,
        "bytes_out": sum(part.bytes_out for part in parts) if parts else None,
    }
