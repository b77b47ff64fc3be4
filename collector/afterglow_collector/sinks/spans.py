"""Turns records into spans: one for Init, one per invocation, one per piece of work that went on after its return.

In: batches of records, one environment at a time, in the order in which they were written. Out: spans, for
X-Ray and OpenTelemetry alike. A span's id is a digest of what it stands for: sent twice, it is the same span.

A finding belongs to the trace of the invocation that started it, and names both. What Init left running names no
invocation: it belongs to the environment's first, which came before it, often in an earlier batch. So the first ones
are remembered, the latest MAX_REMEMBERED of them; a finding that finds its invocation forgotten is counted.
"""

from collections import OrderedDict
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple, TypeVar

from afterglow.records import Environment, Finding, Init, Invocation
from afterglow_collector.sinks.record_batch import RecordBatch
from afterglow_collector.sinks.span_facts import Attributes, finding_facts, init_facts, invocation_facts
from afterglow_collector.sinks.trace_header import Trace, parse_trace

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

MAX_REMEMBERED = 100_000  # environments, some 50 MB

FIRST_MS = 1.0  # the X-Ray SDK takes a zero for nothing
LAST_MS = 9_223_372_036_854.0  # in the year 2262: later than that, nanoseconds leave 63 bits
MOST_MS = 14 * 24 * 3_600_000.0  # of one span: an environment lives for hours, and what CloudWatch takes is no older

FORGOTTEN, UNSAMPLED, UNTRACED = "invocation-forgotten", "not-sampled", "no-trace"


class Span(NamedTuple):
    """One bar in a trace's picture."""

    environment: Environment
    name: str
    span_id: str  # 16 hex digits
    trace: Trace  # its parent_id is this span's parent
    start_ms: float  # Unix epoch
    end_ms: float | None  # None: still going on when last seen
    failed: bool
    facts: Attributes


def clamped(span: Span) -> Span:
    """Return the span within the times that can be: a record says what its sender likes, and all of it is accepted."""
    start_ms = min(max(span.start_ms, FIRST_MS), LAST_MS - MOST_MS)
    end_ms = None if span.end_ms is None else min(max(span.end_ms, start_ms), start_ms + MOST_MS)
    return span._replace(start_ms=start_ms, end_ms=end_ms)


class Remembered(NamedTuple):
    """What a finding has to know of the invocation that it hangs below."""

    trace: Trace | None
    span_id: str
    returned_ms: float


class Memory(OrderedDict[_Key, _Value]):
    """A dictionary of the latest so many."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def keep(self, key: _Key, value: _Value) -> None:
        """Keep one more, and forget the oldest if that is too many."""
        self[key] = value
        self.move_to_end(key)
        if len(self) > self.size:
            self.popitem(last=False)


class SpanMaker:
    """Makes spans, and counts in ``left_out`` the records that made none, by reason.

    ``own_traces``: give an invocation that came without a trace one of its own.
    """

    def __init__(self, *, own_traces: bool, max_remembered: int = MAX_REMEMBERED) -> None:
        self.own_traces = own_traces
        self.left_out: dict[str, int] = {}
        self._firsts: Memory[str, Remembered] = Memory(max_remembered)
        self._inits: Memory[str, Init] = Memory(max_remembered)

    def spans(self, batch: RecordBatch) -> Iterator[Span]:
        """Return the spans of one batch."""
        return map(clamped, self._spans(batch))

    def _spans(self, batch: RecordBatch) -> Iterator[Span]:
        environment = batch.environment
        if environment is None:
            return
        for record in batch.records:
            if isinstance(record, Init):
                self._inits.keep(environment.env_id, record)
            elif isinstance(record, Invocation):
                yield from self._of_invocation(environment, record)
            elif isinstance(record, Finding):
                yield from self._of_finding(environment, record)

    def _of_invocation(self, environment: Environment, record: Invocation) -> Iterator[Span]:
        end_ms = record.at_ms + (record.duration_ms or 0.0)
        known = self._remembered(environment, record.request_id, record.trace, end_ms)
        if record.index == 1:
            self._firsts.keep(environment.env_id, known)
        trace = self._sampled(known.trace)
        if trace is None:
            return
        init = self._inits.get(environment.env_id) if record.cold else None
        if init is not None and init.init_ms is not None:
            yield _init_span(environment, init, trace)
        failed = record.status not in {"ok", "unknown"}
        facts = invocation_facts(record)
        yield Span(environment, "Afterglow Invoke", known.span_id, trace, record.at_ms, end_ms, failed, facts)

    def _of_finding(self, environment: Environment, record: Finding) -> Iterator[Span]:
        started_by = self._started_by(environment, record)
        if started_by is None:
            self._leave_out(FORGOTTEN)
            return
        trace = self._sampled(started_by.trace)
        if trace is None:
            return
        over = record.outcome == "done" or {"ended", "lost"} & set(record.changes)
        # The time frozen is a part of the bar: it shows how much later than the return the work ended.
        end_ms = started_by.returned_ms + (record.wall_ms or 0.0) + (record.frozen_ms or 0.0)
        yield Span(
            environment,
            f"after return: {record.what} {record.name}",
            digest(environment.env_id, "finding", record.finding_id),
            trace._replace(parent_id=started_by.span_id),
            started_by.returned_ms,
            end_ms if over else None,
            record.outcome == "lost",
            finding_facts(record),
        )

    def _started_by(self, environment: Environment, record: Finding) -> Remembered | None:
        """Return the invocation that the finding hangs below; None if that is not known any more."""
        if record.request_id is None or record.returned_at_ms is None:
            return self._firsts.get(environment.env_id)
        return self._remembered(environment, record.request_id, record.trace, record.returned_at_ms)

    def _remembered(
        self, environment: Environment, request_id: str, header: str | None, returned_ms: float
    ) -> Remembered:
        trace = parse_trace(header)
        if trace is None and self.own_traces:
            trace = Trace(digest(environment.env_id, "trace", request_id, size=32), None, sampled=True)
        return Remembered(trace, digest(environment.env_id, "invoke", request_id), returned_ms)

    def _sampled(self, trace: Trace | None) -> Trace | None:
        """Return the trace if it is sampled, and count it otherwise."""
        if trace is None:
            self._leave_out(UNTRACED)
        elif not trace.sampled:
            self._leave_out(UNSAMPLED)
        return trace if trace is not None and trace.sampled else None

    def _leave_out(self, reason: str) -> None:
        self.left_out[reason] = self.left_out.get(reason, 0) + 1


def _init_span(environment: Environment, init: Init, trace: Trace) -> Span:
    start_ms = environment.started_at_ms
    span_id = digest(environment.env_id, "init")
    end_ms = start_ms + (init.init_ms or 0.0)
    failed = init.error_type is not None
    return Span(environment, "Afterglow Init", span_id, trace, start_ms, end_ms, failed, init_facts(environment, init))


def digest(*parts: str, size: int = 16) -> str:
    """Return that many hex digits that stand for the parts."""
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:size]
