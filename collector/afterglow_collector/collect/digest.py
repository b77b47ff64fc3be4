"""What of a batch counts: that is journalled, and added up.

In: a batch as it was read. Out: a Digest, its bytes, and back.

Invocations become rows of the figures that the metrics need, 48 bytes each with the default ones where their JSON
takes 250 or 900: the disk has that much less to take, and a replay nothing to parse. Overheads, of which there may
be as many, are added up. All other kinds stay whole.
"""

from functools import lru_cache
from itertools import groupby
from typing import Any
from zlib import crc32

import msgspec

from afterglow.records import KINDS, SCHEMA_VERSION, Environment, Invocation, Overhead, Record
from afterglow.window import MINUTE_MS
from afterglow_collector.collect.calls import FORMULAS
from afterglow_collector.collect.forms import FORMS, any_of, as_record
from afterglow_collector.collect.overheads import METRICS as OVERHEAD_METRICS
from afterglow_collector.collect.overheads import Count, Minute, OverheadSum, add_up
from afterglow_collector.collect.rows import RowFormat
from afterglow_collector.collect.wire import ENVIRONMENTS_KEPT, Batch

_CALL_FORMS, _OVERHEAD_FORMS = frozenset(FORMS[Invocation]), frozenset(FORMS[Overhead])
_ADDED_UP = _CALL_FORMS | _OVERHEAD_FORMS


class DigestError(ValueError):
    """Bytes that are no digest of this version: says why."""


class SettingsError(DigestError):
    """A digest that was made for another set of metrics."""


class CallGroup(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The Invocations of one minute: how many, and how many of them are what the names say."""

    minute: Minute
    calls: Count
    cold: Count
    errors: Count
    judged: Count  # somebody saw how they ended
    looked: Count  # the hook looked at what they left behind


class Digest(msgspec.Struct, frozen=True, gc=False):
    """What counts of ``records`` records. ``rows`` are RowFormat's, in the order of the groups.

    A Struct, as what is made for each batch is where it can be: a NamedTuple takes 0.5 µs, this 0.1.
    """

    environment: Environment
    records: int
    groups: list[CallGroup]
    rows: bytes
    overheads: list[OverheadSum]
    others: list[Record]


_EnvironmentRow: Any = FORMS[Environment].row
_AnyRow: Any = any_of(forms.row for forms in FORMS.values())


class _Stored(msgspec.Struct, array_like=True, gc=False):
    """As it lies on disk. Records lie there as rows, so that they are checked as those of a sender are."""

    fields_crc: int
    environment: Any
    groups: list[CallGroup]
    rows: bytes
    overheads: list[OverheadSum]
    others: list[Any]


class _Checked(_Stored, array_like=True, gc=False):
    environment: _EnvironmentRow
    others: list[_AnyRow]


_decoder = msgspec.msgpack.Decoder(_Checked)


class Digester:
    """Makes digests for a set of metrics."""

    def __init__(self, metrics: frozenset[str]) -> None:
        wanted = (field for name, formula in FORMULAS.items() if name in metrics for field in formula.fields)
        self.format = RowFormat(tuple(dict.fromkeys(wanted)))
        self._metrics = metrics
        totals = [name for name in OVERHEAD_METRICS if name in metrics]
        self._fields_crc = crc32(",".join(("rows of records", *self.format.fields, *totals)).encode())

    def digest(self, batch: Batch) -> Digest:
        """Return what counts of a batch."""
        calls = batch.records
        overheads: list[OverheadSum] = []
        others: list[Record] = []
        try:
            groups, calls = _grouped(batch, calls)
        except AttributeError:  # not Invocations alone, as mostly they are: the other kinds are neither cold nor warm
            overheads = add_up([record for record in calls if type(record) in _OVERHEAD_FORMS], self._metrics)
            others = [as_record(record) for record in calls if type(record) not in _ADDED_UP]
            groups, calls = _grouped(batch, [record for record in calls if type(record) in _CALL_FORMS])
        rows = self.format.pack(calls)
        return Digest(batch.environment, len(batch.records), groups, rows, overheads, others)

    def encode(self, digest: Digest) -> bytes:
        """Return the digest's bytes."""
        others = [_row(record) for record in digest.others]
        environment = _environment_row(digest.environment)
        stored = _Stored(self._fields_crc, environment, digest.groups, digest.rows, digest.overheads, others)
        return msgspec.msgpack.encode(stored)

    def decode(self, data: bytes) -> Digest:
        """Return the digest that the bytes stand for; DigestError if they are none, SettingsError if of others."""
        try:
            stored = _decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise DigestError(f"not of this version: {error}") from None
        if stored.fields_crc != self._fields_crc:
            raise SettingsError("the set of metrics was changed since; set it back, and stop in order")
        others: list[Record] = [as_record(struct) for struct in stored.others]
        calls = sum(group.calls for group in stored.groups)
        if len(stored.rows) != calls * self.format.row_bytes:
            raise DigestError(f"not of this version: {len(stored.rows)} bytes are not the rows of {calls} Invocations")
        records = calls + sum(one.records for one in stored.overheads) + len(others)
        environment = as_record(stored.environment)
        return Digest(environment, records, stored.groups, stored.rows, stored.overheads, others)


def _minute_of(call: Any) -> int:
    return int(call.at_ms // MINUTE_MS)


def _grouped(batch: Batch, calls: list[Any]) -> tuple[list[CallGroup], list[Any]]:
    """Return what is counted of each minute, and the Invocations in its order."""
    first, last = int(batch.first_ms // MINUTE_MS), int(batch.last_ms // MINUTE_MS)
    if first == last or not calls:
        return [_group(first, calls)] if calls else [], calls
    calls = sorted(calls, key=_minute_of)
    return [_group(minute, list(part)) for minute, part in groupby(calls, _minute_of)], calls


def _group(minute: int, calls: list[Any]) -> CallGroup:
    """Count in one go: a comprehension and a count for each of these take three times as long."""
    cold = errors = unknown = unseen = 0
    for call in calls:
        if call.cold:
            cold += 1
        status = call.status
        if status != "ok":
            if status == "unknown":
                unknown += 1
            else:
                errors += 1
        if call.hook_ms is None:
            unseen += 1
    return CallGroup(minute, len(calls), cold, errors, len(calls) - unknown, len(calls) - unseen)


_KIND_OF = {cls: kind for kind, cls in KINDS.items()}


def _row(record: Record) -> list[Any]:
    """Return the record as a row; ``sources`` was skipped when it was read."""
    row = [_KIND_OF[type(record)], SCHEMA_VERSION, *record]
    if "sources" in record._fields:
        row[2 + record._fields.index("sources")] = {}
    return row


@lru_cache(ENVIRONMENTS_KEPT)
def _environment_row(environment: Environment) -> msgspec.Raw:
    """Return the row's bytes: a sender's Environment is the same in each of its batches."""
    return msgspec.Raw(msgspec.msgpack.encode(_row(environment)))
