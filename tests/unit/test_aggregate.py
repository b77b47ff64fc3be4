"""Windows, bounds and lateness. That parts add up is in tests/property."""

import pytest

from afterglow.aggregate import REFUSED_VALUE, TOO_MANY_MINUTES, TOO_MANY_SERIES, Aggregate, merge
from afterglow.records import Environment, Loss, Overhead, Shutdown
from afterglow.window import Series, Window
from afterglow_collector.aggregate_state import StateError, from_state, to_state

MINUTE_MS = 60_000
MINUTE = 29_395_000
ENVIRONMENT = Environment("e", "f", "7", 512, "arm64", "on-demand", None, None, "0.1.0", MINUTE * MINUTE_MS)


def ledger(minute: int, lost: int = 1) -> Loss:
    return Loss(minute * MINUTE_MS, of="facts", seen=9, emitted=8, dropped={"buffer-full": lost})


def function(name: str) -> Environment:
    return ENVIRONMENT._replace(function=name)


def drops_in(windows: list[Window]) -> list[tuple[int, str, int]]:
    return [(one.minute, one.series.function, one.totals["DroppedRecords"].sum_milli) for one in windows]


def test_a_record_goes_to_the_minute_in_which_it_happened() -> None:
    aggregate = Aggregate()
    last_ms_of_the_minute = ledger(MINUTE)._replace(at_ms=MINUTE * MINUTE_MS + 59_999)
    for record in (ledger(MINUTE), ledger(MINUTE + 1), last_ms_of_the_minute):
        aggregate.add(ENVIRONMENT, record)

    assert drops_in(aggregate.take_all()) == [(MINUTE, "f", 2_000), (MINUTE + 1, "f", 1_000)]


def test_series_differ_in_all_that_can_be_published_and_in_nothing_else() -> None:
    aggregate = Aggregate()
    others = [
        ENVIRONMENT._replace(env_id="another", runtime="python3.12", region="eu-west-1"),
        ENVIRONMENT._replace(version="8"),
        ENVIRONMENT._replace(init_type="snap-start"),
        ENVIRONMENT._replace(memory_mb=None),
        ENVIRONMENT._replace(arch="x86_64"),
    ]
    for environment in (ENVIRONMENT, *others):
        aggregate.add(environment, ledger(MINUTE))

    assert {one.series: one.totals["DroppedRecords"].sum_milli for one in aggregate.windows()} == {
        Series("f", "7", "on-demand", 512, "arm64"): 2_000,
        Series("f", "8", "on-demand", 512, "arm64"): 1_000,
        Series("f", "7", "snap-start", 512, "arm64"): 1_000,
        Series("f", "7", "on-demand", None, "arm64"): 1_000,
        Series("f", "7", "on-demand", 512, "x86_64"): 1_000,
    }


def test_only_what_is_over_is_taken_and_only_once() -> None:
    aggregate = Aggregate()
    for minute in (MINUTE, MINUTE + 1, MINUTE + 2):
        aggregate.add(ENVIRONMENT, ledger(minute))

    assert [window.minute for window in aggregate.take_before(MINUTE + 2)] == [MINUTE, MINUTE + 1]
    assert aggregate.take_before(MINUTE + 2) == []
    assert [window.minute for window in aggregate.take_all()] == [MINUTE + 2]
    assert aggregate.take_all() == []


@pytest.mark.parametrize("take", [Aggregate.take_all, lambda aggregate: aggregate.take_before(MINUTE + 1)])
def test_a_late_record_becomes_a_window_of_its_own(take: "object") -> None:
    aggregate = Aggregate()
    aggregate.add(ENVIRONMENT, ledger(MINUTE, lost=3))
    taken = take(aggregate)  # type: ignore[operator]
    aggregate.add(ENVIRONMENT, ledger(MINUTE, lost=4))

    assert drops_in(taken) == [(MINUTE, "f", 3_000)]
    assert drops_in(aggregate.take_all()) == [(MINUTE, "f", 4_000)]


def test_a_minute_too_many_is_dropped_and_counted_until_there_is_room() -> None:
    aggregate = Aggregate(max_minutes=2)
    for minute in (MINUTE, MINUTE + 1, MINUTE + 2, MINUTE + 2, MINUTE):
        aggregate.add(ENVIRONMENT, ledger(minute))

    assert aggregate.dropped == {TOO_MANY_MINUTES: 2}
    assert drops_in(aggregate.take_all()) == [(MINUTE, "f", 2_000), (MINUTE + 1, "f", 1_000)]
    aggregate.add(ENVIRONMENT, ledger(MINUTE + 2))
    assert drops_in(aggregate.windows()) == [(MINUTE + 2, "f", 1_000)]


def test_a_series_too_many_is_dropped_and_counted() -> None:
    aggregate = Aggregate(max_series=1)
    for name in ("f", "g", "g", "f"):
        aggregate.add(function(name), ledger(MINUTE))

    assert aggregate.dropped == {TOO_MANY_SERIES: 2}
    assert drops_in(aggregate.windows()) == [(MINUTE, "f", 2_000)]


def test_a_value_that_no_metric_can_hold_is_dropped_alone() -> None:
    aggregate = Aggregate(frozenset(("AfterglowOverheadMs", "BytesOut")))
    aggregate.add(ENVIRONMENT, Overhead(MINUTE * MINUTE_MS, -5.0, None, 1.0, bytes_out=900))

    (window,) = aggregate.windows()
    assert aggregate.dropped == {REFUSED_VALUE: 1}
    assert {name: one.sum_milli for name, one in window.totals.items() if one.known} == {"BytesOut": 900_000}


def test_kinds_without_metrics_open_no_window() -> None:
    aggregate = Aggregate()
    aggregate.add(ENVIRONMENT, ENVIRONMENT)
    aggregate.add(ENVIRONMENT, Shutdown(MINUTE * MINUTE_MS, "spindown", 0, 1.0))

    assert aggregate.windows() == []
    assert aggregate.dropped == {}


def test_merging_keeps_the_counts_of_what_both_dropped() -> None:
    one, other = Aggregate(max_minutes=1), Aggregate(max_minutes=1)
    for aggregate, minutes in ((one, 2), (other, 4)):
        for minute in range(minutes):
            aggregate.add(ENVIRONMENT, ledger(minute))

    assert merge(one, other).dropped == {TOO_MANY_MINUTES: 4}


SERIES = ["f", "7", "on-demand", 512, "arm64"]


def test_the_state_is_plain_numbers_in_thousandths() -> None:
    aggregate = Aggregate(frozenset(("DroppedRecords", "DurationMs")))
    aggregate.add(ENVIRONMENT, ledger(MINUTE, lost=3))
    add = aggregate.windows()[0].adder("DurationMs")
    for value in (0, 20.5):
        add(value)

    assert to_state(aggregate.windows()) == {
        "v": 1,
        "windows": [
            [MINUTE, SERIES, {"DroppedRecords": 3_000}, {"DurationMs": [20_500, 0, 20_500, {"-74": 1, "31": 1}]}]
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        ([], 'an object with "v": 1'),
        ({"v": 2, "windows": []}, 'an object with "v": 1'),
        ({"v": 1}, "not a list of windows"),
        ({"v": 1, "windows": [7]}, "not a list of windows"),
        ({"v": 1, "windows": [[-1, SERIES, {}, {}]]}, "-1 is no whole number"),
        ({"v": 1, "windows": [[1, ["f"], {}, {}]]}, "not a list of windows"),
        ({"v": 1, "windows": [[1, ["f", "7", "on-demand", "512", "arm64"], {}, {}]]}, "series memory_mb '512'"),
        ({"v": 1, "windows": [[1, SERIES, {"Duration": 1}, {}]]}, "no count is called 'Duration'"),
        ({"v": 1, "windows": [[1, SERIES, {"DurationMs": 1}, {}]]}, "no count is called 'DurationMs'"),
        ({"v": 1, "windows": [[1, SERIES, {"Errors": 1.5}, {}]]}, "1.5 is no whole number"),
        ({"v": 1, "windows": [[1, SERIES, {}, {"Errors": [1, 1, 1, {}]}]]}, "no distribution is called 'Errors'"),
        ({"v": 1, "windows": [[1, SERIES, {}, {"InitMs": [1, 1, 1, {"999": 1}]}]]}, "bin 999 is none of -74 to 289"),
    ],
)  # fmt: skip
def test_a_state_that_is_none_is_refused_with_the_reason(state: object, complaint: str) -> None:
    with pytest.raises(StateError) as refusal:
        from_state(state)

    assert complaint in str(refusal.value)
