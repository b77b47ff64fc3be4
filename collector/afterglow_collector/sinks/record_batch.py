"""Reads the payload of a ``record`` entry. In: NDJSON, the Environment first. Out: the environment, and its records.

A line that is no record is counted and left out: the collector has checked them all when they came in, so such
a line is of a newer version than this sink.
"""

from typing import NamedTuple

from afterglow.records import Environment, Record, RecordError, decode


class RecordBatch(NamedTuple):
    """One environment's records; ``environment`` is None when the payload does not begin with one."""

    environment: Environment | None
    records: list[Record]
    unread: int


def read_batch(payload: str) -> RecordBatch:
    """Return what the payload holds."""
    records: list[Record] = []
    unread = 0
    for line in payload.split("\n"):  # splitlines would split at U+2028, too, which JSON allows in a string
        if not line.strip():
            continue
        try:
            records.append(decode(line))
        except RecordError:
            unread += 1
    if not records or not isinstance(records[0], Environment):
        return RecordBatch(None, [], unread + len(records))
    return RecordBatch(records[0], records[1:], unread)
