"""Reads a batch: NDJSON, an Environment first, the records that it applies to after it.

In: the plain bytes of a body. Out: a Batch, with what each bad line is refused for, or a BatchError.

A line is an object or a row (``records.encode_row``); msgspec checks it while it parses, 1 µs for an Invocation as an
object of 870 bytes, 0.6 as a row of 240. The lines of a good batch, all of one form, are decoded in one call; only
when that call objects are they looked at one by one, and the words then are those of ``records.decode``.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from afterglow.records import Environment, RecordError
from afterglow.records import decode as strict_decode
from afterglow_collector.collect.forms import FORMS, any_of, as_record

TOO_OLD, FROM_THE_FUTURE, TOO_LONG, INVALID = "too old", "from the future", "too long", "invalid"
"""How the reason of a refusal begins; any other words mean the last."""

ENVIRONMENTS_KEPT = 4096
"""First lines whose Environment is kept, some 1 KB each: a sender begins each of its batches with the same one."""


class Refusal(NamedTuple):
    """Why one line was not taken. Lines count from 1; ``field`` is None when the line as such is wrong."""

    line: int
    field: str | None
    reason: str


class Limits(msgspec.Struct, frozen=True, gc=False):
    """What a line may be: its length, and its ``at_ms``, both ends included."""

    line_bytes: int
    from_ms: float
    until_ms: float


class Batch(msgspec.Struct, frozen=True, gc=False):
    """What one body holds. ``records`` have the fields of their namesakes in ``afterglow.records``.

    ``first_ms`` and ``last_ms`` are the least and the greatest ``at_ms`` among them, 0 if there are none.
    """

    environment: Environment
    records: list[Any]
    refusals: list[Refusal]
    first_ms: float
    last_ms: float


class BatchError(ValueError):
    """The batch as a whole cannot be taken: says why. ``line`` 1 is the Environment."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


_environment_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(FORMS[Environment].named)
_named_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(any_of(forms.named for forms in FORMS.values()))
_row_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(any_of(forms.row for forms in FORMS.values()))
_OBJECTIONS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode_batch(body: bytes, limits: Limits) -> Batch:
    """Return what the body holds; BatchError when its first line is no Environment, or a later one another's."""
    end = body.find(b"\n")
    first, start = (body, len(body)) if end < 0 else (body[:end], end + 1)
    environment = _decode_environment(first, limits.line_bytes)
    return _decode_at_once(environment, body, start, limits) or _decode_each(environment, body[start:], limits)


def _decoder_of(text: bytes, start: int = 0) -> "msgspec.json.Decoder[Any]":
    """Return the decoder for the form that the text begins with: msgspec knows no type that allows both."""
    return _row_decoder if text.startswith(b"[", start) else _named_decoder


def _decode_at_once(environment: Environment, body: bytes, start: int, limits: Limits) -> Batch | None:
    """Return the batch if all of it is good; None if it has to be looked at line by line."""
    if not _lines_fit(body, start, limits.line_bytes):
        return None
    try:
        records = _decoder_of(body, start).decode_lines(memoryview(body)[start:])
        times = [record.at_ms for record in records]
    except (*_OBJECTIONS, AttributeError):  # an Environment has no at_ms
        return None
    times.sort()  # they mostly are, and then it takes less than min and max
    first_ms, last_ms = (times[0], times[-1]) if times else (0, 0)
    if times and not limits.from_ms <= first_ms <= last_ms <= limits.until_ms:
        return None
    return Batch(environment, records, [], first_ms, last_ms)


@lru_cache(ENVIRONMENTS_KEPT)
def _decode_environment(line: bytes, max_line_bytes: int) -> Environment:
    if len(line) > max_line_bytes:
        raise BatchError(_too_long(1, line, max_line_bytes))
    try:
        environment: Environment = as_record(_environment_decoder.decode(line))
    except _OBJECTIONS as error:
        refusal = _refusal(1, line, error)
        reason = f"the first line must be the batch's Environment: {refusal.reason}"
        raise BatchError(refusal._replace(reason=reason)) from None
    if not environment.env_id:
        raise BatchError(Refusal(1, "env_id", 'environment: field "env_id" is empty'))
    return environment


def _lines_fit(body: bytes, start: int, max_line_bytes: int) -> bool:
    """Say whether each line from ``start`` on keeps to the limit, with a search per ``max_line_bytes`` only."""
    at = start
    while len(body) - at > max_line_bytes:
        at = body.rfind(b"\n", at, at + max_line_bytes + 1) + 1
        if at == 0:
            return False
    return True


def _decode_each(environment: Environment, rest: bytes, limits: Limits) -> Batch:
    records: list[Any] = []
    refusals: list[Refusal] = []
    for number, line in enumerate(rest.split(b"\n"), 2):
        if line.strip():
            found = _decode_line(number, line, environment, limits)
            if isinstance(found, Refusal):
                refusals.append(found)
            elif found is not None:
                records.append(found)
    times = [record.at_ms for record in records]
    return Batch(environment, records, refusals, min(times, default=0), max(times, default=0))


def _decode_line(number: int, line: bytes, environment: Environment, limits: Limits) -> Any:
    """Return a record, a Refusal, or None for a line that says nothing new: the Environment once more."""
    if len(line) > limits.line_bytes:
        return _too_long(number, line, limits.line_bytes)
    try:
        record = _decoder_of(line.lstrip()).decode(line)
    except _OBJECTIONS as error:
        return _refusal(number, line, error)
    if type(record) in FORMS[Environment]:
        if as_record(record) != environment:  # whose the lines after it are would be a guess
            reason = "the batch holds a second Environment; send one batch for each"
            raise BatchError(Refusal(number, "env_id", reason))
        return None
    return _out_of_time(number, record, limits) or record


def _out_of_time(number: int, record: Any, limits: Limits) -> Refusal | None:
    at_ms = record.at_ms
    if at_ms < limits.from_ms:
        return Refusal(number, "at_ms", f"{TOO_OLD}: {at_ms} is before {limits.from_ms}, the first that is taken")
    if at_ms > limits.until_ms:
        return Refusal(
            number, "at_ms", f"{FROM_THE_FUTURE}: {at_ms} is after {limits.until_ms}, the last that is taken"
        )
    return None


def _too_long(number: int, line: bytes, max_line_bytes: int) -> Refusal:
    return Refusal(number, None, f"{TOO_LONG}: the line has {len(line)} bytes, the limit is {max_line_bytes}")


_FIELD = re.compile(r'field ["`](\w{1,64})["`]|at `\$\.(\w{1,64})')
_MEMBER = re.compile(r"at `\$\[(\d{1,3})\]")


def _refusal(number: int, line: bytes, objection: Exception) -> Refusal:
    """Word the objection as ``records.decode`` would, which knows kinds and fields; else as msgspec did."""
    reason = "nested too deeply" if isinstance(objection, RecursionError) else str(objection)
    member = _MEMBER.search(reason)
    try:
        record = strict_decode(line)
        if member is not None:  # of a row that only our limits refuse: after kind and version come the fields
            return Refusal(number, record._fields[int(member[1]) - 2], reason[:300])
    except RecordError as error:
        reason = str(error)
    except (UnicodeDecodeError, RecursionError):
        pass
    field = _FIELD.search(reason)
    return Refusal(number, next(filter(None, field.groups())) if field else None, reason[:300])
