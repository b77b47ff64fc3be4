"""What of a batch counts: that is journalled, and added up.

In: a batch as it was read. Out: a Digest, its bytes, and back.

Invocations become rows of the figures that the metrics need, 48 bytes each with the default ones where their JSON
takes 900: the disk has that much less to take, and a replay nothing to parse. All other kinds stay whole.
"""

from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
import numpy as np

from afterglow.records import KINDS, Environment, Invocation, Record, kind_of
from afterglow.window import MINUTE_MS
from afterglow_collector.collect.binning import Floats
from afterglow_collector.collect.calls import FORMULAS
from afterglow_collector.collect.wire import STRUCTS, Batch, as_record

_CALL = STRUCTS[Invocation]


class DigestError(ValueError):
    """Bytes that these settings, or this version, cannot read: says why."""


class CallGroup(NamedTuple):
    """The Invocations of one minute: how many, and how many of them are what the names say."""

    minute: int
    calls: int
    cold: int
    errors: int
    judged: int  # somebody saw how they ended
    looked: int  # the hook looked at what they left behind


class Digest(NamedTuple):
    """``rows`` has one row per Invocation, in the order of the groups; NaN is unknown."""

    environment: Environment
    groups: list[CallGroup]
    rows: Floats
    others: list[Record]

    def records(self) -> int:
        """Return how many records there are."""
        return sum(group.calls for group in self.groups) + len(self.others)


class _Stored(msgspec.Struct, array_like=True, gc=False):
    fields_crc: int
    environment: list[Any]
    groups: list[CallGroup]
    rows: bytes
    others: list[tuple[str, list[Any]]]


_decoder = msgspec.msgpack.Decoder(_Stored)


class Digester:
    """Makes digests for a set of metrics. ``fields`` are those of an Invocation that make a row."""

    def __init__(self, metrics: frozenset[str]) -> None:
        wanted = (field for name, formula in FORMULAS.items() if name in metrics for field in formula.fields)
        self.fields = tuple(dict.fromkeys(wanted))
        padding = ("at_ms",) * max(0, 2 - len(self.fields))  # attrgetter makes tuples of two or more
        self.width = len(self.fields) + len(padding)
        self._row = attrgetter(*self.fields, *padding)
        self._fields_crc = crc32(",".join(self.fields).encode())

    def digest(self, batch: Batch) -> Digest:
        """Return what counts of a batch."""
        calls = [record for record in batch.records if type(record) is _CALL]
        others: list[Record] = []
        if len(calls) < len(batch.records):
            others = [as_record(record) for record in batch.records if type(record) is not _CALL]
        first, last = int(batch.first_ms // MINUTE_MS), int(batch.last_ms // MINUTE_MS)
        if first == last or not calls:
            return Digest(batch.environment, [_group(first, calls)] if calls else [], self._rows(calls), others)
        minutes = sorted({call.at_ms // MINUTE_MS for call in calls})
        parts = [[call for call in calls if call.at_ms // MINUTE_MS == minute] for minute in minutes]
        groups = [_group(minute, part) for minute, part in zip(minutes, parts, strict=True)]
        return Digest(batch.environment, groups, self._rows(list(chain.from_iterable(parts))), others)

    def encode(self, digest: Digest) -> bytes:
        """Return the digest's bytes."""
        others = [(kind_of(record), _plain(record)) for record in digest.others]
        rows = digest.rows.tobytes()
        return msgspec.msgpack.encode(_Stored(self._fields_crc, list(digest.environment), digest.groups, rows, others))

    def decode(self, data: bytes) -> Digest:
        """Return the digest that the bytes stand for; DigestError if they are of other settings."""
        try:
            stored = _decoder.decode(data)
            if stored.fields_crc != self._fields_crc:
                raise DigestError("the set of metrics was changed since; set it back, and stop in order")
            others: list[Record] = [KINDS[kind](*values) for kind, values in stored.others]
            return Digest(Environment(*stored.environment), stored.groups, np.frombuffer(stored.rows), others)
        except (msgspec.MsgspecError, TypeError, KeyError) as error:
            raise DigestError(f"not of this version: {error}") from None

    def _rows(self, calls: list[Any]) -> Floats:
        values = chain.from_iterable(map(self._row, calls))
        return np.fromiter(values, np.float64, self.width * len(calls))  # None becomes NaN


def _group(minute: int, calls: list[Any]) -> CallGroup:
    not_ok = [call.status for call in calls if call.status != "ok"]
    unknown = not_ok.count("unknown") if not_ok else 0
    cold = sum([call.cold for call in calls])
    unseen = [call.hook_ms for call in calls].count(None)
    return CallGroup(minute, len(calls), cold, len(not_ok) - unknown, len(calls) - unknown, len(calls) - unseen)


def _plain(record: Record) -> list[Any]:
    """Return the record's fields; ``sources`` was skipped when it was read."""
    return [{} if name == "sources" else value for name, value in record._asdict().items()]
