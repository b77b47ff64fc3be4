"""The fast path adds up what the plain aggregator adds up, to the last digit, in any order and any portions."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from tests.property.strategies import any_record, metric_names, traffic
from tests.unit.collect.samples import (
    ANY_TIME,
    AT_MS,
    MINUTE,
    batch,
    body,
    call,
    environment,
    finding,
    overhead,
    unchecked,
)

from afterglow.aggregate import Aggregate
from afterglow.distribution import MAX_VALUE, ZERO_BIN, bin_of
from afterglow.emf import DIMENSIONS
from afterglow.measures import MEASURES
from afterglow.metrics import METRICS
from afterglow.records import Environment, Invocation, Overhead, Record
from afterglow.window import Series, Window
from afterglow_collector.aggregate_state import to_state
from afterglow_collector.collect import windows as windows_module
from afterglow_collector.collect.binning import MAX_MILLI, bins_of
from afterglow_collector.collect.calls import FORMULAS, TOTALS
from afterglow_collector.collect.digest import Digest, Digester, DigestError
from afterglow_collector.collect.histogram import Histogram
from afterglow_collector.collect.windows import Closed, Windows
from afterglow_collector.collect.wire import Batch, decode_batch

ALL = frozenset(METRICS)
END = 1 << 40

Traffic = list[tuple[Environment, Record]]

edges = st.sampled_from(
    [None, 0, -0.0, 0.0005, 0.0015, 1, 2.5, -1, MAX_VALUE, MAX_VALUE + 1, 1e300, 2**32, 2.0**33 + 0.5]
)
figures = edges | st.floats(min_value=0, max_value=1e6) | st.floats(allow_nan=False, allow_infinity=False)
sizes = st.none() | st.sampled_from([0, -1, 1, 2**53]) | st.integers(0, 10**10)
calls = st.builds(
    call,
    at_ms=st.integers(AT_MS, AT_MS + 180_000),
    duration_ms=figures,
    cpu_user_ms=figures,
    cpu_system_ms=figures,
    wait_ms=figures,
    rss_bytes=sizes,
    peak_rss_bytes=sizes,
    fds=sizes,
    threads=sizes,
    tmp_bytes=sizes,
    frozen_before_ms=figures,
    cold=st.booleans(),
    status=st.sampled_from(["ok", "error", "timeout", "unknown"]),
    hook_ms=st.sampled_from([None, 0.0, 0.1]),
)
senders = st.builds(environment, function=st.sampled_from(["f", "g"]), memory_mb=st.sampled_from([None, 0, 128, -1]))
call_traffic = st.lists(st.tuples(senders, calls), max_size=30)


def plainly(traffic: Traffic, metrics: frozenset[str] = ALL) -> Aggregate:
    aggregate = Aggregate(metrics, 1 << 60, 1 << 60)
    for sender, record in traffic:
        aggregate.add(sender, record)
    return aggregate


def digested(record: Record, sender: Environment, metrics: frozenset[str]) -> Digest:
    """What counts of a batch of one record, through the journal if that takes it, as it does all that the door lets in.

    What the door does not let in adds up all the same: there are two locks, and each is tried.
    """
    return journalled(Digester(metrics), unchecked(record, env=sender))


def journalled(digester: Digester, read: Batch) -> Digest:
    digest = digester.digest(read)
    try:
        return digester.decode(digester.encode(digest))
    except DigestError:
        return digest


def counted_batch(*records: Record, env: Environment | None = None) -> Digest:
    return batch(*records, env=env, metrics=ALL)


def windows_of(traffic: Traffic, metrics: frozenset[str] = ALL) -> Windows:
    windows = Windows(metrics)
    for sender, record in traffic:
        short = sender._replace(env_id="e", function=sender.function[:900])
        windows.add(digested(record, short, metrics), 0)
    return windows


def shortened(traffic: Traffic) -> Traffic:
    """The wire takes no longer names; the plain aggregator does."""
    return [(sender._replace(env_id="e", function=sender.function[:900]), record) for sender, record in traffic]


def every(closed: Closed) -> list[Window]:
    return [window for group in closed.groups(lambda series: (series.function,)) for window in group]


def figures_of(windows: Iterable[Window]) -> list[Any]:
    told: list[Any] = to_state(sorted(windows, key=lambda window: (window.minute, str(window.series))))["windows"]
    return [one for one in told if one[2] or one[3]]  # a window that holds nothing says nothing


@settings(max_examples=300)
@given(call_traffic)
def test_invocations_in_columns_equal_invocations_one_by_one(traffic: Traffic) -> None:
    plain, windows = plainly(traffic), windows_of(traffic)

    assert figures_of(plain.windows()) == figures_of(every(windows.take_before(END)))
    assert plain.dropped.get("refused-value", 0) == windows.refused_values()


@given(traffic, metric_names)
def test_all_kinds_of_records_and_any_choice_of_metrics(traffic: Traffic, metrics: frozenset[str]) -> None:
    plain, windows = plainly(shortened(traffic), metrics), windows_of(traffic, metrics)

    assert figures_of(plain.windows()) == figures_of(every(windows.take_before(END)))
    assert plain.dropped.get("refused-value", 0) == windows.refused_values()


overheads = st.builds(
    Overhead,
    at_ms=st.integers(AT_MS, AT_MS + 180_000),
    agent_cpu_ms=figures.filter(lambda figure: figure is not None),
    agent_rss_bytes=st.none(),
    hook_ms=st.sampled_from([0.0, 0.0005, 1.5]),
    bytes_out=st.integers(-1, 10**10),
)


@given(st.lists(overheads | calls, max_size=30), metric_names)
def test_overheads_of_one_batch_equal_overheads_one_by_one(records: list[Record], metrics: frozenset[str]) -> None:
    digester, windows = Digester(metrics), Windows(metrics)
    windows.add(journalled(digester, unchecked(*records)), over_before=MINUTE + 1)
    plain = plainly([(environment(), record) for record in records], metrics)

    assert sum(record.at_ms // 60_000 < MINUTE + 1 for record in records) == windows.late
    assert figures_of(plain.windows()) == figures_of(every(windows.take_before(END)))
    assert plain.dropped.get("refused-value", 0) == windows.refused_values()


@given(call_traffic, st.lists(st.integers(0, 29), max_size=4))
def test_what_is_taken_in_portions_adds_up_to_the_same(traffic: Traffic, cuts: list[int]) -> None:
    windows, taken = Windows(ALL), []
    for index, (sender, record) in enumerate(traffic):
        windows.add(digested(record, sender, ALL), 0)
        if index in cuts:
            taken += every(windows.take_before(MINUTE + index % 4))
    together = Aggregate(ALL)
    together.absorb(taken + every(windows.take_before(END)))

    assert figures_of(plainly(traffic).windows()) == figures_of(together.windows())
    assert len(windows) == 0


@given(call_traffic, st.integers(0, 29))
def test_windows_go_on_from_what_they_told(traffic: Traffic, cut: int) -> None:
    first = windows_of(traffic[:cut])
    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(first.to_plain()))
    second = Windows.from_plain(plain)
    for sender, record in traffic[cut:]:
        second.add(digested(record, sender, ALL), 0)

    assert figures_of(plainly(traffic).windows()) == figures_of(every(second.take_before(END)))
    assert second.refused_values() == plainly(traffic).dropped.get("refused-value", 0)


def test_many_rows_settle_on_their_way() -> None:
    senders = [environment(function=f"f{number}") for number in range(7)]
    traffic: Traffic = [(senders[n % 7], call(AT_MS + n * 31, n / 7, rss_bytes=n << 12)) for n in range(9_000)]
    windows = Windows(ALL)
    for start in range(0, 9_000, 60):
        for sender in senders:
            mine = [record for owner, record in traffic[start : start + 60] if owner == sender]
            windows.add(counted_batch(*mine, env=sender), 0)

    assert figures_of(plainly(traffic).windows()) == figures_of(every(windows.take_before(END)))


def test_a_batch_may_reach_across_minutes() -> None:
    windows = Windows(ALL)
    windows.add(counted_batch(call(AT_MS), call(AT_MS + 60_000), call(AT_MS + 59_999)), 0)
    counts = [(one.minute, one.totals["Invocations"].sum_milli) for one in every(windows.take_before(END))]

    assert [(MINUTE, 2_000), (MINUTE + 1, 1_000)] == counts


def test_only_what_is_over_is_taken_and_the_rest_stays() -> None:
    windows = Windows(ALL)
    windows.add(counted_batch(call(AT_MS), overhead(AT_MS), call(AT_MS + 60_000), overhead(AT_MS + 60_000)), 0)

    assert windows.oldest() == MINUTE
    assert [MINUTE] == [window.minute for window in every(windows.take_before(MINUTE + 1))]
    assert windows.oldest() == MINUTE + 1
    assert [MINUTE + 1] == [window.minute for window in every(windows.take_before(END))]
    assert windows.oldest() is None


def test_late_records_are_counted_and_taken_all_the_same() -> None:
    windows = Windows(ALL)
    windows.add(counted_batch(call(AT_MS), call(AT_MS + 60_000), overhead(AT_MS)), over_before=MINUTE + 1)

    assert windows.late == 2
    assert sum(one.totals["Invocations"].sum_milli for one in every(windows.take_before(END))) == 2_000


def test_calls_and_other_kinds_of_one_window_become_one_window() -> None:
    windows = Windows(ALL)
    windows.add(counted_batch(call(), finding(), overhead(hook_ms=2)), 0)
    (window,) = every(windows.take_before(END))

    assert (1_000, 1_000, 2_000) == tuple(
        window.totals[name].sum_milli for name in ("Invocations", "LingeringCount", "AfterglowOverheadMs")
    )


def test_groups_are_cut_only_between_windows_that_cloudwatch_keeps_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows_module, "WINDOWS_AT_ONCE", 2)
    windows = Windows(ALL)
    for number in range(12):
        windows.add(counted_batch(call(), env=environment(function=f"f{number // 4}", memory_mb=128 * (number + 1))), 0)
    groups = list(windows.take_before(END).groups(lambda series: (series.function,)))

    assert [["f0"] * 4, ["f1"] * 4, ["f2"] * 4] == [[one.series.function for one in group] for group in groups]


def test_slots_are_used_again() -> None:
    windows = Windows(ALL)
    for minute in range(50):
        windows.add(counted_batch(call(AT_MS + minute * 60_000)), 0)
        windows.take_before(END)

    assert len(windows.to_plain()["calls"]["slots"]) == 0
    windows.add(counted_batch(call()), 0)
    assert [0] == windows.to_plain()["calls"]["slots"]


def test_every_metric_of_an_invocation_has_its_fast_path() -> None:
    assert set(MEASURES[Invocation].names) == {*FORMULAS, *TOTALS}
    assert set(DIMENSIONS) == {"FunctionName", "FunctionVersion", "InitType", "MemorySize", "Architecture"}
    assert Series._fields == ("function", "version", "init_type", "memory_mb", "arch")


@given(st.lists(st.integers(0, MAX_MILLI) | st.integers(0, 2_000), min_size=1))
def test_bins_are_those_of_the_distribution(milli: list[int]) -> None:
    assert [bin_of(one) - ZERO_BIN for one in milli] == bins_of(np.array(milli, np.int64)).tolist()


def test_bins_are_right_on_both_sides_of_every_edge() -> None:
    edges = [edge for edge in range(5_000) if bin_of(edge) != bin_of(max(edge - 1, 0))]
    power = 10**4
    while power <= MAX_MILLI:
        low, high = power, min(power * 10, MAX_MILLI)
        while bin_of(low) < bin_of(high):
            wanted, bottom, top = bin_of(low) + 1, low, high
            while bottom < top:
                middle = (bottom + top) // 2
                bottom, top = (bottom, middle) if bin_of(middle) >= wanted else (middle + 1, top)
            edges.append(bottom)
            low = bottom
        power *= 10
    near = sorted({max(0, edge + step) for edge in edges for step in (-1, 0, 1)})

    assert len(edges) == 340  # of 363: small whole numbers skip the bins between them
    assert [bin_of(one) - ZERO_BIN for one in near] == bins_of(np.array(near, np.int64)).tolist()


@given(st.lists(st.lists(st.integers(0, 40), max_size=20), max_size=10), st.sets(st.integers(0, 4)))
def test_a_histogram_counts_as_a_dict_does(portions: list[list[int]], chosen: set[int]) -> None:
    histogram, plain = Histogram(), dict[int, int]()
    for portion in portions:
        histogram.add(np.array(portion, np.int64))
        for key in portion:
            plain[key] = plain.get(key, 0) + 1
    mask = np.array([slot in chosen for slot in range(5)])
    taken, kept = histogram.take(mask, 10), histogram.whole()

    def counted(run: Any) -> dict[int, int]:
        return dict(zip(run.keys.tolist(), run.counts.tolist(), strict=True))

    assert {key: count for key, count in plain.items() if key // 10 in chosen} == counted(taken)
    assert {key: count for key, count in plain.items() if key // 10 not in chosen} == counted(kept)
    assert json.dumps(sorted(counted(kept))) == json.dumps(list(counted(kept)))


def test_a_digest_of_other_metrics_or_other_bytes_is_refused_with_the_reason() -> None:
    data = Digester(ALL).encode(counted_batch(call(), finding()))
    with pytest.raises(DigestError, match="the set of metrics was changed"):
        Digester(frozenset({"DurationMs"})).decode(data)
    with pytest.raises(DigestError, match="not of this version"):
        Digester(ALL).decode(data[:-5])


@given(st.lists(any_record.filter(lambda record: not isinstance(record, Environment)), max_size=5))
def test_what_the_door_lets_in_the_journal_takes(records: list[Record]) -> None:
    digester = Digester(ALL)
    data = digester.encode(digester.digest(decode_batch(body(*records), ANY_TIME)))

    assert data == digester.encode(digester.decode(data))


def test_a_digest_whose_rows_do_not_fit_its_counts_is_refused() -> None:
    digester = Digester(ALL)
    whole = counted_batch(call(), call())
    short = structs.replace(whole, rows=whole.rows[: digester.format.row_bytes + 1])

    with pytest.raises(DigestError, match="are not the rows of 2 Invocations"):
        digester.decode(digester.encode(short))
