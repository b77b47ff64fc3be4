"""Reads the payload of a ``record`` entry. In: NDJSON, the Environment first. Out: the environment, and its records.

A line that is no record, or one with values that nobody could have measured, is counted and left out.
"""

from typing import NamedTuple

from afterglow.records import Environment, Record, RecordError, decode
from afterglow_collector.plausible import is_plausible


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
            record = decode(line)
        except RecordError:
            record = None
        if record is None or not is_plausible(record):
            unread += 1
        else:
            records.append(record)
    if not records or not isinstance(records[0], Environment):
        return RecordBatch(None, [], unread + len(records))
    return RecordBatch(records[0], records[1:], unread)
