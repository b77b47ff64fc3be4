"""Cuts entries into what one PutLogEvents call takes. In: entries, the time. Out: calls, and what none may hold.

The limits are those of the API reference (PutLogEvents, PutLogEventsRequestEntry).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from afterglow_collector.plausible import is_utf8
from afterglow_collector.sinks.contract import NOT_UTF8, Entry

MAX_CALL_BYTES = 1_048_576  # UTF-8 of all messages, and the overhead of each
EVENT_OVERHEAD_BYTES = 26
MAX_EVENTS = 10_000
MAX_SPAN_MS = 24 * 3_600_000  # between the first and the last event of a call
MAX_AGE_MS = 14 * 24 * 3_600_000
MAX_AHEAD_MS = 2 * 3_600_000
MAX_EVENT_BYTES = MAX_CALL_BYTES - EVENT_OVERHEAD_BYTES

TOO_OLD, TOO_NEW, TOO_LARGE, EMPTY = "too-old", "too-new", "too-large", "empty"


class Plan(NamedTuple):
    """``calls`` together hold every entry once that ``refused`` does not count."""

    calls: list[list[Entry]]
    refused: dict[str, int]


def plan_calls(entries: Sequence[Entry], now_ms: int) -> Plan:
    """Return the entries in calls, in the order of their timestamps, as the API demands within a call."""
    refused: dict[str, int] = {}
    good: list[Entry] = []
    for entry in entries:
        fault = _fault(entry, now_ms)
        if fault is None:
            good.append(entry)
        else:
            refused[fault] = refused.get(fault, 0) + 1
    return Plan(list(_cut(sorted(good, key=lambda entry: entry.at_ms))), refused)


def event_of(entry: Entry) -> dict[str, object]:
    """Return the entry as an InputLogEvent."""
    return {"timestamp": entry.at_ms, "message": entry.payload}


def _fault(entry: Entry, now_ms: int) -> str | None:
    if not entry.payload:
        return EMPTY
    if not is_utf8(entry.payload):
        return NOT_UTF8
    if entry.at_ms < now_ms - MAX_AGE_MS:
        return TOO_OLD
    if entry.at_ms > now_ms + MAX_AHEAD_MS:
        return TOO_NEW
    # A character is at most four bytes: only long lines have to be encoded to know.
    if len(entry.payload) * 4 > MAX_EVENT_BYTES and len(entry.payload.encode()) > MAX_EVENT_BYTES:
        return TOO_LARGE
    return None


def _cut(entries: list[Entry]) -> Iterator[list[Entry]]:
    call: list[Entry] = []
    size = 0
    for entry in entries:
        cost = len(entry.payload.encode()) + EVENT_OVERHEAD_BYTES
        full = len(call) == MAX_EVENTS or size + cost > MAX_CALL_BYTES
        if call and (full or entry.at_ms - call[0].at_ms >= MAX_SPAN_MS):
            yield call
            call, size = [], 0
        call.append(entry)
        size += cost
    if call:
        yield call
