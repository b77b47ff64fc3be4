"""What of a batch counts: that is journalled, and added up.

In: a batch as it was read. Out: a Digest, its bytes, and back.

Invocations become columns of the figures that the metrics need, 48 bytes each with the default ones where their JSON
takes 250 or 900: the disk has that much less to take, and a replay nothing to parse. Overheads, of which there may
be as many, are added up. All other kinds stay whole.
"""

from collections.abc import Callable
from itertools import groupby
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
import numpy as np

from afterglow.records import KINDS, Environment, Invocation, Overhead, Record, kind_of
from afterglow.window import MINUTE_MS
from afterglow_collector.collect.binning import Floats
from afterglow_collector.collect.calls import FORMULAS
from afterglow_collector.collect.overheads import METRICS as OVERHEAD_METRICS
from afterglow_collector.collect.overheads import OverheadSum, add_up
from afterglow_collector.collect.wire import FORMS, Batch, as_record

_COLUMNS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "duration_ms": lambda calls: [call.duration_ms for call in calls],
    "cpu_user_ms": lambda calls: [call.cpu_user_ms for call in calls],
    "cpu_system_ms": lambda calls: [call.cpu_system_ms for call in calls],
    "wait_ms": lambda calls: [call.wait_ms for call in calls],
    "peak_rss_bytes": lambda calls: [call.peak_rss_bytes for call in calls],
    "rss_bytes": lambda calls: [call.rss_bytes for call in calls],
    "frozen_before_ms": lambda calls: [call.frozen_before_ms for call in calls],
    "fds": lambda calls: [call.fds for call in calls],
    "threads": lambda calls: [call.threads for call in calls],
    "tmp_bytes": lambda calls: [call.tmp_bytes for call in calls],
}
"""One field of all calls. Spelled out, because the interpreter then reads a slot in 13 ns; attrgetter takes 27."""

_CALL_FORMS, _OVERHEAD_FORMS = frozenset(FORMS[Invocation]), frozenset(FORMS[Overhead])
_ADDED_UP = _CALL_FORMS | _OVERHEAD_FORMS


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
    """``columns`` has one row per field and one column per Invocation, in the order of the groups; NaN is unknown."""

    environment: Environment
    groups: list[CallGroup]
    columns: Floats
    overheads: list[OverheadSum]
    others: list[Record]

    def records(self) -> int:
        """Return how many records there are."""
        return int(self.columns.shape[1]) + sum(one.records for one in self.overheads) + len(self.others)


class _Stored(msgspec.Struct, array_like=True, gc=False):
    fields_crc: int
    environment: list[Any]
    groups: list[CallGroup]
    columns: bytes
    overheads: list[OverheadSum]
    others: list[tuple[str, list[Any]]]


_decoder = msgspec.msgpack.Decoder(_Stored)


class Digester:
    """Makes digests for a set of metrics. ``fields`` are those of an Invocation that make a column each."""

    def __init__(self, metrics: frozenset[str]) -> None:
        wanted = (field for name, formula in FORMULAS.items() if name in metrics for field in formula.fields)
        self.fields = tuple(dict.fromkeys(wanted))
        self._readers = [_COLUMNS[field] for field in self.fields]
        self._metrics = metrics
        totals = [name for name in OVERHEAD_METRICS if name in metrics]
        self._fields_crc = crc32(
            ",".join(("columns", *self.fields, *totals)).encode()
        )  # digests of rows had their fields alone

    def digest(self, batch: Batch) -> Digest:
        """Return what counts of a batch."""
        calls, overheads, others = batch.records, list[OverheadSum](), list[Record]()
        if not _CALL_FORMS.issuperset(map(type, calls)):
            overheads = add_up([record for record in calls if type(record) in _OVERHEAD_FORMS], self._metrics)
            others = [as_record(record) for record in calls if type(record) not in _ADDED_UP]
            calls = [record for record in calls if type(record) in _CALL_FORMS]
        first, last = int(batch.first_ms // MINUTE_MS), int(batch.last_ms // MINUTE_MS)
        if first == last or not calls:
            groups = [_group(first, calls)] if calls else []
        else:
            calls = sorted(calls, key=_minute_of)
            groups = [_group(minute, list(part)) for minute, part in groupby(calls, _minute_of)]
        return Digest(batch.environment, groups, self._columns(calls), overheads, others)

    def encode(self, digest: Digest) -> bytes:
        """Return the digest's bytes."""
        others = [(kind_of(record), _plain(record)) for record in digest.others]
        columns = digest.columns.tobytes()
        stored = _Stored(self._fields_crc, list(digest.environment), digest.groups, columns, digest.overheads, others)
        return msgspec.msgpack.encode(stored)

    def decode(self, data: bytes) -> Digest:
        """Return the digest that the bytes stand for; DigestError if they are of other settings."""
        try:
            stored = _decoder.decode(data)
            if stored.fields_crc != self._fields_crc:
                raise DigestError("the set of metrics was changed since; set it back, and stop in order")
            others: list[Record] = [KINDS[kind](*values) for kind, values in stored.others]
            shape = len(self.fields), sum(group.calls for group in stored.groups)
            columns = np.frombuffer(stored.columns).reshape(shape)
            return Digest(Environment(*stored.environment), stored.groups, columns, stored.overheads, others)
        except (msgspec.MsgspecError, TypeError, KeyError, ValueError) as error:
            raise DigestError(f"not of this version: {error}") from None

    def _columns(self, calls: list[Any]) -> Floats:
        values: list[Any] = []
        for read in self._readers:
            values += read(calls)
        return np.fromiter(values, np.float64, len(values)).reshape(len(self.fields), len(calls))  # None becomes NaN


def _minute_of(call: Any) -> int:
    return int(call.at_ms // MINUTE_MS)


def _group(minute: int, calls: list[Any]) -> CallGroup:
    cold = [call.cold for call in calls].count(True)
    statuses = [call.status for call in calls]
    bad = len(calls) - statuses.count("ok")
    unknown = statuses.count("unknown") if bad else 0
    unseen = [call.hook_ms for call in calls].count(None)
    return CallGroup(minute, len(calls), cold, bad - unknown, len(calls) - unknown, len(calls) - unseen)


def _plain(record: Record) -> list[Any]:
    """Return the record's fields; ``sources`` was skipped when it was read."""
    return [{} if name == "sources" else value for name, value in record._asdict().items()]
