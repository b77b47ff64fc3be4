"""Records become spans: under the right parent, in the right trace, the same ones however often they are made."""

from typing import Any

import pytest
from tests.unit.sinks.samples import ENVIRONMENT, NOW_MS, TRACE, batch_of, finding, init, invocation

from afterglow.records import Finding, Record
from afterglow_collector.sinks.record_batch import RecordBatch, read_batch
from afterglow_collector.sinks.spans import FORGOTTEN, UNSAMPLED, UNTRACED, Span, SpanMaker
from afterglow_collector.sinks.trace_header import Trace, parse_trace, xray_trace_id

TRACE_ID = "5759e988bd862e3fe1be46a994272793"


def lingering(**fields: Any) -> Finding:
    """Return a finding of a traced invocation."""
    return finding(trace=TRACE, **fields)


def spans_of(maker: SpanMaker, *records: Record) -> list[Span]:
    return list(maker.spans(read_batch(batch_of(*records))))


@pytest.fixture
def maker() -> SpanMaker:
    return SpanMaker(own_traces=False)


def test_a_cold_invocation_makes_init_invoke_and_what_went_on(maker: SpanMaker) -> None:
    made = spans_of(maker, init(), invocation(1, trace=TRACE), lingering())
    started, invoked, lingered = made

    assert ["Afterglow Init", "Afterglow Invoke", "after return: thread Thread-1 (notify)"] == [s.name for s in made]
    assert {TRACE_ID} == {span.trace.trace_id for span in made}
    assert "53995c3f42cd8ad8" == started.trace.parent_id == invoked.trace.parent_id
    assert invoked.span_id == lingered.trace.parent_id
    assert (NOW_MS - 2000, NOW_MS - 1788) == (started.start_ms, started.end_ms)
    assert (NOW_MS, NOW_MS + 30) == (invoked.start_ms, invoked.end_ms)
    assert (NOW_MS + 30, NOW_MS + 650) == (lingered.start_ms, lingered.end_ms), "from the return, frozen time included"


def test_a_finding_finds_its_invocation_after_a_restart_of_the_collector(maker: SpanMaker) -> None:
    (invoked,) = spans_of(maker, invocation(1, trace=TRACE))
    restarted = SpanMaker(own_traces=False)
    spans_of(restarted, invocation(2, trace=TRACE.replace("5759e988", "5759e989")))
    (lingered,) = spans_of(restarted, lingering(resumed_in="request-2", outcome="resumed"))

    assert (TRACE_ID, invoked.span_id) == (lingered.trace.trace_id, lingered.trace.parent_id)
    assert invoked.end_ms == lingered.start_ms
    assert "app.py:14" == lingered.facts["call_site"]
    assert "request-2" == lingered.facts["resumed_in"]


def test_an_invocation_with_a_trace_of_its_own_has_it_after_a_restart_as_well() -> None:
    (invoked,) = spans_of(SpanMaker(own_traces=True), invocation(1))
    (lingered,) = spans_of(SpanMaker(own_traces=True), finding())

    assert (invoked.trace.trace_id, invoked.span_id) == (lingered.trace.trace_id, lingered.trace.parent_id)


def test_work_that_goes_on_has_no_end_yet(maker: SpanMaker) -> None:
    (open_span,) = spans_of(maker, lingering(outcome="resumed", changes=["lingering", "resumed"]))
    (over,) = spans_of(maker, lingering(outcome="resumed", changes=["ended"], revision=2))

    assert open_span.end_ms is None
    assert over.end_ms is not None
    assert open_span.span_id == over.span_id


def test_lost_work_is_a_fault(maker: SpanMaker) -> None:
    (lost,) = spans_of(maker, lingering(outcome="lost", changes=["lingering", "lost"]))

    assert lost.failed


def test_made_again_a_span_is_the_same(maker: SpanMaker) -> None:
    records = init(), invocation(1, trace=TRACE), lingering()

    assert spans_of(maker, *records) == spans_of(maker, *records)


def test_what_init_left_running_belongs_to_the_first_invocation(maker: SpanMaker) -> None:
    (invoked, lingered) = spans_of(maker, invocation(1, trace=TRACE), finding(request_id=None))

    assert invoked.span_id == lingered.trace.parent_id


def test_only_sampled_traces_are_sent_and_the_others_are_counted(maker: SpanMaker) -> None:
    unsampled = TRACE.replace("Sampled=1", "Sampled=0")
    records = invocation(1, trace=unsampled), finding(trace=unsampled), invocation(2), finding(request_id="request-2")
    made = spans_of(maker, *records)

    assert [] == made
    assert {UNSAMPLED: 2, UNTRACED: 2} == maker.left_out


def test_without_a_trace_an_invocation_can_have_one_of_its_own() -> None:
    maker = SpanMaker(own_traces=True)
    (first, second) = spans_of(maker, invocation(1), invocation(2))

    assert first.trace.trace_id != second.trace.trace_id
    assert first.trace.parent_id is None
    assert 32 == len(first.trace.trace_id)


def test_the_memory_of_first_invocations_is_bounded_and_what_it_forgot_counted() -> None:
    maker = SpanMaker(own_traces=False, max_remembered=2)
    for env_id in ("a", "b", "c"):
        list(maker.spans(RecordBatch(ENVIRONMENT._replace(env_id=env_id), [invocation(1, trace=TRACE)], 0)))
    of_init = [finding(request_id=None)]

    assert [] == list(maker.spans(RecordBatch(ENVIRONMENT._replace(env_id="a"), of_init, 0)))
    assert 1 == len(list(maker.spans(RecordBatch(ENVIRONMENT._replace(env_id="c"), of_init, 0))))
    assert {FORGOTTEN: 1} == maker.left_out


def test_a_payload_of_something_else_makes_nothing_and_is_counted() -> None:
    assert 2 == read_batch("nonsense\n{}").unread
    assert 0 == read_batch(batch_of(invocation()) + "\n").unread
    assert None is read_batch("").environment
    assert 1 == read_batch(batch_of(invocation()).partition("\n")[2]).unread, "records without their environment"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (TRACE, Trace(TRACE_ID, "53995c3f42cd8ad8", sampled=True)),
        ("Sampled=1;Root=1-5759e988-BD862e3fe1be46a994272793", Trace(TRACE_ID, None, sampled=True)),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=?", Trace(TRACE_ID, None, sampled=False)),
        ("Root=1-5759e988-bd862e3fe1be46a994272793", Trace(TRACE_ID, None, sampled=False)),
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=x;Sampled=1", Trace(TRACE_ID, None, sampled=True)),
        ("Root=2-5759e988-bd862e3fe1be46a994272793", None),
        ("Root=1-5759e988-bd862e3fe1be46a99427279", None),
        ("", None),
        (None, None),
        (";;=;Root", None),
    ],
)
def test_a_trace_header_is_read_as_it_is_written(header: str | None, expected: Trace | None) -> None:
    assert expected == parse_trace(header)


def test_a_trace_id_is_written_as_x_ray_has_it() -> None:
    assert "1-5759e988-bd862e3fe1be46a994272793" == xray_trace_id(TRACE_ID)
