"""A distribution against the values themselves, sorted: its oracle."""

from math import ceil

from hypothesis import given
from hypothesis import strategies as st
from tests.property.strategies import good_values

from afterglow.distribution import (
    MAX_BINS,
    MAX_VALUE,
    ZERO_BIN,
    Distribution,
    Total,
    bin_of,
    middle_of,
)

WORST_ERROR = 0.05


def distribution_of(values: list[float]) -> Distribution:
    distribution = Distribution()
    for value in values:
        assert distribution.add(value)
    return distribution


@given(st.integers(min_value=1, max_value=1000 * MAX_VALUE))
def test_a_bins_middle_is_within_5_percent_of_what_the_bin_holds(milli: int) -> None:
    value = milli / 1000

    assert abs(middle_of(bin_of(milli)) - value) <= WORST_ERROR * value


@given(st.lists(good_values, min_size=1, max_size=60), st.floats(min_value=0.001, max_value=1))
def test_a_percentile_is_within_5_percent_of_the_sorted_and_rounded_values(
    values: list[float], fraction: float
) -> None:
    exact = sorted(round(value * 1000) / 1000 for value in values)[ceil(fraction * len(values)) - 1]

    estimate = distribution_of(values).percentile(fraction)

    assert estimate is not None
    assert abs(estimate - exact) <= WORST_ERROR * exact


@given(st.lists(good_values, min_size=1, max_size=60))
def test_count_sum_min_and_max_are_those_of_the_rounded_values(values: list[float]) -> None:
    thousandths = [round(value * 1000) for value in values]
    distribution = distribution_of(values)

    assert (len(values), sum(thousandths), min(thousandths), max(thousandths)) == (
        distribution.count(),
        distribution.sum_milli,
        distribution.min_milli,
        distribution.max_milli,
    )


@given(st.lists(good_values, min_size=1, max_size=60))
def test_points_ascend_within_what_was_seen(values: list[float]) -> None:
    distribution = distribution_of(values)
    points = [value for value, _ in distribution.points()]

    assert points == sorted(set(points))
    assert distribution.min_milli / 1000 <= points[0]
    assert points[-1] <= distribution.max_milli / 1000


@given(st.lists(st.floats() | st.integers(), max_size=60))
def test_nothing_makes_more_bins_than_there_are(values: list[float]) -> None:
    distribution, total = Distribution(), Total()
    taken = [value for value in values if distribution.add(value)]

    assert taken == [value for value in values if total.add(value)]
    assert set(distribution.bins) <= set(range(ZERO_BIN, ZERO_BIN + MAX_BINS))
    assert len(taken) == distribution.count()
    assert total.sum_milli == distribution.sum_milli
