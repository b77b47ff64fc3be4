"""Reads a batch: NDJSON, an Environment first, the records that it applies to after it.

In: the plain bytes of a body. Out: a Batch, with what each bad line is refused for, or a BatchError.

A line is an object or a row (``records.encode_row``); msgspec checks it while it parses, 1 µs for an Invocation as an
object of 870 bytes, 0.6 as a row of 240. The lines of a good batch, all of one form, are decoded in one call; only
when that call objects are they looked at one by one, and the words then are those of ``records.decode``.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec

from afterglow.records import Environment
from afterglow_collector.collect.forms import FORMS, all_sources_fit, any_of, as_record, sources_fit
from afterglow_collector.collect.refusals import (
    FROM_THE_FUTURE,
    TOO_LONG,
    TOO_OLD,
    Refusal,
    Refusals,
    worded,
)

ENVIRONMENTS_KEPT = 4096
"""First lines whose Environment is kept: a sender begins each of its batches with the same one."""

KEPT_BYTES = 1024
"""A longer first line is read each time: it is padded, or says more than any environment's does (some 300 bytes)."""


class Limits(msgspec.Struct, frozen=True, gc=False):
    """What a line may be: its length, and its ``at_ms``, both ends included.

    ``passed_on``: a sink gets the lines as they came, so all of each is looked at, also what no figure depends on.
    """

    line_bytes: int
    from_ms: float
    until_ms: float
    passed_on: bool = False


class Batch(msgspec.Struct, frozen=True, gc=False):
    """What one body holds. ``records`` have the fields of their namesakes in ``afterglow.records``.

    ``text`` is the Environment and the lines of the records, and none that was refused. ``first_ms`` and ``last_ms``
    are the least and the greatest ``at_ms`` among the records, 0 if there are none.
    """

    environment: Environment
    records: list[Any]
    text: bytes
    refused: Refusals | None
    first_ms: float
    last_ms: float

    @property
    def refusals(self) -> list[Refusal]:
        """Return the refusals that are in words."""
        return [] if self.refused is None else self.refused.told


class BatchError(ValueError):
    """The batch as a whole cannot be taken: says why. ``line`` 1 is the Environment."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class _NoTextError(ValueError):
    """Of a line: msgspec looks only at what it reads."""


_environment_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(FORMS[Environment].named)
_named_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(any_of(forms.named for forms in FORMS.values()))
_row_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(any_of(forms.row for forms in FORMS.values()))
_lettered_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(any_of(forms.lettered for forms in FORMS.values()))
_OBJECTIONS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, _NoTextError)


def decode_batch(body: bytes, limits: Limits) -> Batch:
    """Return what the body holds; BatchError when its first line is no Environment, or a later one another's."""
    end = body.find(b"\n")
    first, start = (body, len(body)) if end < 0 else (body[:end], end + 1)
    environment = (_kept_environment if len(first) <= KEPT_BYTES else _decode_environment)(first, limits.line_bytes)
    at_once = _decode_at_once(environment, body, start, limits)
    return at_once or _decode_each(environment, first, body, start, limits)


def _decoder_of(text: bytes) -> "msgspec.json.Decoder[Any]":
    """Return the decoder for the form that the text begins with: msgspec knows no type that allows both."""
    return _row_decoder if text.startswith(b"[") else _named_decoder


def _decode_at_once(environment: Environment, body: bytes, start: int, limits: Limits) -> Batch | None:
    """Return the batch if all of it is good; None if it has to be looked at line by line."""
    if len(body) - start > limits.line_bytes and not _lines_fit(body, start, limits.line_bytes):
        return None
    try:
        decoder = _lettered_decoder if body.startswith(b"[", start) else _named_decoder
        records = decoder.decode_lines(memoryview(body)[start:])
        times = [record.at_ms for record in records]
    except (*_OBJECTIONS, AttributeError):  # an Environment has no at_ms
        return None
    times.sort()  # they mostly are, and then it takes less than min and max
    first_ms, last_ms = (times[0], times[-1]) if times else (0, 0)
    if times and not limits.from_ms <= first_ms <= last_ms <= limits.until_ms:
        return None
    if limits.passed_on and not (_is_text(body) and all_sources_fit(records)):
        return None
    return Batch(environment, records, body, None, first_ms, last_ms)


def _decode_environment(line: bytes, max_line_bytes: int) -> Environment:
    if len(line) > max_line_bytes:
        raise BatchError(Refusal(1, None, f"{TOO_LONG}: {_length(line, max_line_bytes)}"))
    try:
        environment: Environment = as_record(_environment_decoder.decode(line))
    except _OBJECTIONS as error:
        refusal = worded(1, line, error)
        reason = f"the first line must be the batch's Environment: {refusal.reason}"
        raise BatchError(refusal._replace(reason=reason)) from None
    if not environment.env_id:
        raise BatchError(Refusal(1, "env_id", 'environment: field "env_id" is empty'))
    return environment


_kept_environment = lru_cache(ENVIRONMENTS_KEPT)(_decode_environment)


def _lines_fit(body: bytes, start: int, max_line_bytes: int) -> bool:
    """Say whether each line from ``start`` on keeps to the limit, with a search per ``max_line_bytes`` only."""
    at = start
    while len(body) - at > max_line_bytes:
        at = body.rfind(b"\n", at, at + max_line_bytes + 1) + 1
        if at == 0:
            return False
    return True


def _is_text(body: bytes) -> bool:
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


_BEGUN_LINE = re.compile(rb"\S[^\n]*")


def _lines(body: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """Return the number and the text of each line that is not blank; blank ones cost next to nothing."""
    number, at = 2, start
    for found in _BEGUN_LINE.finditer(body, start):
        number += body.count(b"\n", at, found.start())
        at = found.start()
        yield number, body[max(start, body.rfind(b"\n", start, at) + 1) : found.end()]


def _decode_each(environment: Environment, first: bytes, body: bytes, start: int, limits: Limits) -> Batch:
    records: list[Any] = []
    taken, refused = [first], Refusals()
    for number, line in _lines(body, start):
        if refused.too_many:
            refused.leave(number, 3 + body[start:].rstrip().count(b"\n") - number)
            break
        record = _decode_line(number, line, environment, limits, refused)
        if record is not None:
            records.append(record)
            taken.append(line)
    times = [record.at_ms for record in records]
    first_ms, last_ms = min(times, default=0), max(times, default=0)
    return Batch(environment, records, b"\n".join(taken), refused, first_ms, last_ms)


def _decode_line(number: int, line: bytes, environment: Environment, limits: Limits, refused: Refusals) -> Any:
    """Return a record; None for a line that is refused, or says nothing new: the Environment once more."""
    if len(line) > limits.line_bytes:
        refused.add(TOO_LONG, number, None, _length(line, limits.line_bytes))
        return None
    try:
        record = _decoder_of(line.lstrip()).decode(line)
        if limits.passed_on and not (_is_text(line) and sources_fit(record)):
            raise _NoTextError('field "sources" is none, or no UTF-8')
    except _OBJECTIONS as error:
        refused.add_invalid(number, line, error)
        return None
    if type(record) in FORMS[Environment]:
        if as_record(record) != environment:  # whose the lines after it are would be a guess
            reason = "the batch holds a second Environment; send one batch for each"
            raise BatchError(Refusal(number, "env_id", reason))
        return None
    return None if _out_of_time(number, record, limits, refused) else record


def _out_of_time(number: int, record: Any, limits: Limits, refused: Refusals) -> bool:
    at_ms = record.at_ms
    if limits.from_ms <= at_ms <= limits.until_ms:
        return False
    if at_ms < limits.from_ms:
        refused.add(TOO_OLD, number, "at_ms", f"{at_ms} is before {limits.from_ms}, the first that is taken")
    else:
        refused.add(FROM_THE_FUTURE, number, "at_ms", f"{at_ms} is after {limits.until_ms}, the last that is taken")
    return True


def _length(line: bytes, max_line_bytes: int) -> str:
    return f"the line has {len(line)} bytes, the limit is {max_line_bytes}"
