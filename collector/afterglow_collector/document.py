"""One run as one JSON document (docs/run-document.md).

In: the records that the extension wrote, in order, and what the local run saw from outside. Out: plain dicts
and lists, ready for ``json.dump``. Nothing is judged or rounded here; the unknown is ``None``, never zero.
"""

from typing import Any, NamedTuple

from afterglow.records import (
    Ending,
    Environment,
    Finding,
    Footprint,
    Init,
    Loss,
    Overhead,
    Record,
    Sample,
    Shutdown,
)
from afterglow_collector.facts import Call, RunFacts
from afterglow_collector.failures import where_of
from afterglow_collector.matching import Numbers, completed, init_numbers_of, invocations_of, numbers_of
from afterglow_collector.modules import imports_of, packages_of, untouched_of

__all__ = ["DOCUMENT_SCHEMA", "Call", "RunFacts", "build_document"]

DOCUMENT_SCHEMA = 1


class _Placed(NamedTuple):
    """A record and the environment that it belongs to: 1 for the first, None if none was announced."""

    environment: int | None
    record: Record


def build_document(records: list[Record], facts: RunFacts) -> dict[str, Any]:
    """Return the run as the JSON document that ``afterglow run --json`` writes."""
    placed = _placed(records)
    invocations = invocations_of(completed(placed), facts.calls)
    environments = _environments(placed)
    numbers = numbers_of(invocations)
    return {
        "schema": DOCUMENT_SCHEMA,
        "run": {name: value for name, value in facts._asdict().items() if name != "calls"},
        "environments": environments,
        "init": environments[0]["init"] if environments else None,
        "invocations": invocations,
        "endings": _endings(placed, {**numbers, **init_numbers_of(environments, facts.calls)}),
        "findings": _findings(placed, numbers),
        "imports": imports_of(placed, numbers),
        "untouched": untouched_of(placed),
        "packages": packages_of(placed),
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


def _endings(placed: list[_Placed], numbers: Numbers) -> list[dict[str, Any]]:
    """Return the bad endings, in order; an Init's has the number of the call that it was for."""
    return [
        {
            "environment": environment,
            "invocation": numbers.get((environment, record.request_id)),
            "where": _where(record),
            **record._asdict(),
        }
        for environment, record in placed
        if isinstance(record, Ending)
    ]


def _where(ending: Ending) -> dict[str, Any] | None:
    site = where_of(ending._asdict())
    return {"file": site.file, "line": site.line, "function": site.function} if site else None


def _findings(placed: list[_Placed], numbers: Numbers) -> list[dict[str, Any]]:
    """Return the last revision of each finding, in the order in which they first appeared."""
    revisions: dict[tuple[int | None, str], list[Finding]] = {}
    for number, record in placed:
        if isinstance(record, Finding):
            revisions.setdefault((number, record.finding_id), []).append(record)
    return [_finding(environment, known, numbers) for (environment, _), known in revisions.items()]


def _finding(environment: int | None, revisions: list[Finding], numbers: Numbers) -> dict[str, Any]:
    last = max(revisions, key=lambda finding: finding.revision)
    fields = last._asdict()
    where = {name: fields.pop(name) for name in ("file", "line", "function")}
    del fields["changes"]  # they are for adding lines up; here is the sum
    del fields["trace"]  # its invocation has it
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
