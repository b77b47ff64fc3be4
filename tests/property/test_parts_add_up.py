"""An aggregate of all records is the merge of aggregates of its parts: in any order, in any partition."""

import json
from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import metric_names, traffic

from afterglow.aggregate import Aggregate, merge
from afterglow.metrics import METRICS
from afterglow.records import Environment, Record
from afterglow_collector.aggregate_state import from_state, to_state

Traffic = list[tuple[Environment, Record]]
ALL_METRICS = frozenset(METRICS)


def aggregate_of(traffic: Traffic, metrics: frozenset[str] = ALL_METRICS) -> Aggregate:
    aggregate = Aggregate(metrics)
    for environment, record in traffic:
        aggregate.add(environment, record)
    return aggregate


def figures_of(aggregate: Aggregate) -> dict[str, Any]:
    return {**to_state(aggregate.windows()), "dropped": aggregate.dropped}


@given(traffic, st.randoms(use_true_random=False))
def test_order_does_not_matter(traffic: Traffic, random: Any) -> None:
    shuffled = random.sample(traffic, len(traffic))

    assert figures_of(aggregate_of(traffic)) == figures_of(aggregate_of(shuffled))


@given(traffic, st.lists(st.integers(min_value=0, max_value=4), min_size=25, max_size=25))
def test_partition_does_not_matter(traffic: Traffic, part_of: list[int]) -> None:
    numbered = list(zip(part_of, traffic, strict=False))
    parts = [[item for mine, item in numbered if mine == part] for part in range(5)]

    assert figures_of(aggregate_of(traffic)) == figures_of(reduce(merge, map(aggregate_of, parts)))


@given(traffic, traffic)
def test_merge_is_commutative(some: Traffic, others: Traffic) -> None:
    one, other = aggregate_of(some), aggregate_of(others)

    assert figures_of(merge(one, other)) == figures_of(merge(other, one))


@given(traffic, traffic, traffic)
def test_merge_is_associative(first: Traffic, second: Traffic, third: Traffic) -> None:
    a, b, c = aggregate_of(first), aggregate_of(second), aggregate_of(third)

    assert figures_of(merge(merge(a, b), c)) == figures_of(merge(a, merge(b, c)))


@given(traffic)
def test_merging_with_nothing_changes_nothing(traffic: Traffic) -> None:
    aggregate = aggregate_of(traffic)

    assert figures_of(aggregate) == figures_of(merge(aggregate, Aggregate()))


@given(traffic, traffic)
def test_merging_leaves_the_parts_as_they_were(some: Traffic, others: Traffic) -> None:
    one, other = aggregate_of(some), aggregate_of(others)
    before = figures_of(one), figures_of(other)
    merge(one, other).absorb(one.windows())

    assert before == (figures_of(one), figures_of(other))


@given(traffic)
def test_windows_come_back_from_json_as_they_were(traffic: Traffic) -> None:
    state = to_state(aggregate_of(traffic).windows())
    restored = Aggregate()
    restored.absorb(from_state(json.loads(json.dumps(state))))

    assert state == to_state(restored.windows())


@given(traffic, metric_names)
def test_leaving_metrics_out_leaves_the_others_as_they_are(traffic: Traffic, chosen: frozenset[str]) -> None:
    everything, some = aggregate_of(traffic).windows(), aggregate_of(traffic, chosen).windows()

    assert [
        {name: total.sum_milli for name, total in window.totals.items() if name in chosen}
        | {name: one.bins for name, one in window.distributions.items() if name in chosen}
        for window in everything
    ] == [
        {name: total.sum_milli for name, total in window.totals.items()}
        | {name: one.bins for name, one in window.distributions.items()}
        for window in some
    ]
