"""What goes into one PutLogEvents call: every limit of its reference, kept for any entries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sinks.samples import NOW_MS, Item, items

from afterglow_collector.sinks.cloudwatch_logs import rejected
from afterglow_collector.sinks.log_batches import (
    EVENT_OVERHEAD_BYTES,
    MAX_AGE_MS,
    MAX_AHEAD_MS,
    MAX_CALL_BYTES,
    MAX_EVENT_BYTES,
    MAX_EVENTS,
    MAX_SPAN_MS,
    plan_calls,
)

HOUR_MS = 3_600_000


@st.composite
def entries(draw: st.DrawFn) -> list[Item]:
    """Entries of all sizes and ages; the text is short, its length is made by repetition."""
    made = draw(
        st.lists(
            st.tuples(
                st.integers(NOW_MS - 400 * HOUR_MS, NOW_MS + 4 * HOUR_MS),
                st.sampled_from(["", "x", "ä", "\U0001f525"]),
                st.sampled_from([1, 10, 50_000, 262_137, 262_138, 1_048_550, 1_048_551]),
            ),
            max_size=30,
        )
    )
    return [Item(seq, "emf", at_ms, text * times) for seq, (at_ms, text, times) in enumerate(made, 1)]


@given(entries())
def test_every_call_is_within_its_limits_and_every_entry_is_in_one_or_counted(made: list[Item]) -> None:
    plan = plan_calls(made, NOW_MS)

    for call in plan.calls:
        times = [entry.at_ms for entry in call]
        assert times == sorted(times)
        assert times[-1] - times[0] <= MAX_SPAN_MS
        assert len(call) <= MAX_EVENTS
        assert sum(len(entry.payload.encode()) + EVENT_OVERHEAD_BYTES for entry in call) <= MAX_CALL_BYTES
        assert all(NOW_MS - MAX_AGE_MS <= at_ms <= NOW_MS + MAX_AHEAD_MS for at_ms in times)
    sent = [entry.seq for call in plan.calls for entry in call]
    assert len(set(sent)) == len(sent) == len(made) - sum(plan.refused.values())


def test_ten_thousand_events_fill_a_call() -> None:
    plan = plan_calls(items(*["x"] * (MAX_EVENTS + 1)), NOW_MS)

    assert [MAX_EVENTS, 1] == [len(call) for call in plan.calls]


def test_the_largest_event_has_a_call_of_its_own() -> None:
    plan = plan_calls(items("x" * MAX_EVENT_BYTES, "y"), NOW_MS)

    assert [1, 1] == [len(call) for call in plan.calls]
    assert {} == plan.refused


@pytest.mark.parametrize(
    ("payload", "at_ms", "reason"),
    [
        ("x", NOW_MS - MAX_AGE_MS - 1, "too-old"),
        ("x", NOW_MS + MAX_AHEAD_MS + 1, "too-new"),
        ("x" * (MAX_EVENT_BYTES + 1), NOW_MS, "too-large"),
        ("ä" * (MAX_EVENT_BYTES // 2 + 1), NOW_MS, "too-large"),
        ("", NOW_MS, "empty"),
    ],
    ids=["old", "new", "large", "large in bytes alone", "empty"],
)
def test_what_no_call_may_hold_is_named(payload: str, at_ms: int, reason: str) -> None:
    plan = plan_calls(items(payload, at_ms=at_ms), NOW_MS)

    assert ([], {reason: 1}) == (plan.calls, plan.refused)


def test_a_call_does_not_span_more_than_a_day() -> None:
    made = [Item(n, "emf", NOW_MS - (n * 13) * HOUR_MS, "x") for n in range(1, 5)]

    assert [[4, 3], [2, 1]] == [[entry.seq for entry in call] for call in plan_calls(made, NOW_MS).calls]


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({}, {}),
        ({"tooOldLogEventEndIndex": 2}, {"rejected-too-old": 2}),
        ({"tooNewLogEventStartIndex": 7}, {"rejected-too-new": 3}),
        (
            {"expiredLogEventEndIndex": 1, "tooOldLogEventEndIndex": 3, "tooNewLogEventStartIndex": 10},
            {"rejected-expired": 1, "rejected-too-old": 2},
        ),
    ],
)
def test_rejected_events_are_counted_by_reason(info: dict[str, int], expected: dict[str, int]) -> None:
    assert expected == rejected({"rejectedLogEventsInfo": info}, events=10)
