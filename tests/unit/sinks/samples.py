"""Entries, records and an outbox in memory, for the tests of the sinks."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from afterglow.aggregate import Aggregate
from afterglow.emf import Emitter, encode
from afterglow.records import Environment, Finding, Init, Invocation, Record
from afterglow.records import encode as encode_record

NOW_MS = 1_763_700_000_000
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=a:b"
ENVIRONMENT = Environment(
    "env-1", "checkout", "7", 512, "arm64", "on-demand", "python3.11", "eu-west-1", "0.1.0", NOW_MS - 2000
)


class Item(NamedTuple):
    """An entry of the outbox."""

    seq: int
    kind: str
    at_ms: int
    payload: str


def items(*payloads: str, kind: str = "emf", at_ms: int = NOW_MS, start: int = 1) -> list[Item]:
    return [Item(seq, kind, at_ms, payload) for seq, payload in enumerate(payloads, start)]


class MemoryOutbox:
    """An outbox without a disk."""

    def __init__(self, entries: Sequence[Item] = ()) -> None:
        self.entries = list(entries)

    def read(self, after_seq: int, limit: int) -> Sequence[Item]:
        return [entry for entry in self.entries if entry.seq > after_seq][:limit]

    def append(self, *payloads: str, kind: str = "emf") -> None:
        first = self.entries[-1].seq + 1 if self.entries else 1
        self.entries += items(*payloads, kind=kind, start=first)

    def trim(self, before_seq: int) -> None:
        self.entries = [entry for entry in self.entries if entry.seq >= before_seq]


def record(cls: Any, **fields: Any) -> Any:
    """Return a record of this kind with the fields given, None where nothing is known."""
    empty = {name: {} if name == "sources" else [] if name == "changes" else None for name in cls._fields}
    return cls(**{**empty, "at_ms": NOW_MS, **fields})


def invocation(number: int = 1, **fields: Any) -> Invocation:
    known = {
        "request_id": f"request-{number}",
        "index": number,
        "cold": number == 1,
        "status": "ok",
        "duration_ms": 30.0,
        "cpu_user_ms": 4.0,
        "cpu_system_ms": 1.0,
        "wait_ms": 25.0,
        "peak_rss_bytes": 38 * 1024 * 1024,
    }
    made: Invocation = record(Invocation, **{**known, **fields})
    return made


def init(**fields: Any) -> Init:
    made: Init = record(Init, **{"init_ms": 212.0, "import_ms": 74.0, **fields})
    return made


def finding(**fields: Any) -> Finding:
    known = {
        "finding_id": "f1",
        "revision": 1,
        "kind": "lingering",
        "what": "thread",
        "name": "Thread-1 (notify)",
        "file": "/var/task/app.py",
        "line": 14,
        "function": "handler",
        "request_id": "request-1",
        "request_index": 1,
        "state": "in time.sleep",
        "outcome": "done",
        "wall_ms": 120.0,
        "cpu_ms": 3.0,
        "frozen_ms": 500.0,
        "jobs": 1,
        "worker": None,
        "changes": ["lingering", "ended"],
        "returned_at_ms": NOW_MS + 30.0,
    }
    made: Finding = record(Finding, **{**known, **fields})
    return made


def batch_of(*records: Record, environment: Environment = ENVIRONMENT) -> str:
    """Return the payload of a ``record`` entry."""
    return "\n".join(encode_record(one) for one in (environment, *records))


def emf_lines(*durations_ms: float, function: str = "checkout", emitter: Emitter | None = None) -> list[str]:
    """Return the EMF of one minute of invocations that took so long."""
    aggregate = Aggregate()
    environment = ENVIRONMENT._replace(function=function)
    for number, duration_ms in enumerate(durations_ms, 1):
        aggregate.add(environment, invocation(number, duration_ms=duration_ms))
    return encode(aggregate.take_all(), emitter or Emitter(), NOW_MS).lines


def parsed(line: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(line)
    return document
