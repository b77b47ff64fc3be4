"""Reads the payload of a ``record`` entry. In: NDJSON, the Environment first. Out: its records, traces beside them.

A line that is no record is counted and left out: the collector has checked them all when they came in, so such
a line is of a newer version than this sink.
"""

import json
from typing import NamedTuple

from afterglow.records import Environment, Invocation, Record, RecordError, from_document


class Traced(NamedTuple):
    """A record, and for an Invocation the trace header that came with it."""

    record: Record
    trace: str | None


class RecordBatch(NamedTuple):
    """One environment's records; ``environment`` is None when the payload does not begin with one."""

    environment: Environment | None
    records: list[Traced]
    unread: int


def read_batch(payload: str) -> RecordBatch:
    """Return what the payload holds."""
    records: list[Traced] = []
    unread = 0
    for line in payload.splitlines():
        try:
            records.append(_traced(json.loads(line)))
        except (ValueError, RecursionError):  # RecordError is a ValueError
            unread += 1
    first = records[0].record if records else None
    if not isinstance(first, Environment):
        return RecordBatch(None, [], unread + len(records))
    return RecordBatch(first, records[1:], unread)


def _traced(document: object) -> Traced:
    if not isinstance(document, dict):
        raise RecordError("a record is a JSON object")
    trace = document.get("trace") if document.get("afterglow") == "invocation" else None
    if trace is not None and "trace" not in Invocation._fields:
        document = {name: value for name, value in document.items() if name != "trace"}
    return Traced(from_document(document), trace if isinstance(trace, str) else None)
