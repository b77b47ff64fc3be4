"""Totals and distributions: what they keep, what they refuse, how many bins there can be."""

from math import floor, inf, log, nan

import pytest

from afterglow.distribution import (
    HIGHEST_BIN,
    LOWEST_BIN,
    MAX_BINS,
    MAX_VALUE,
    ZERO_BIN,
    Distribution,
    Total,
    bin_of,
    middle_of,
)


def distribution_of(*values: float) -> Distribution:
    distribution = Distribution()
    for value in values:
        assert distribution.add(value)
    return distribution


@pytest.mark.parametrize("value", [-1, -0.001, nan, inf, -inf, MAX_VALUE + 1, 10**400])
@pytest.mark.parametrize("shape", [Total, Distribution])
def test_what_has_no_place_is_refused_and_leaves_no_trace(shape: type[Total | Distribution], value: float) -> None:
    metric = shape()

    assert not metric.add(value)
    assert metric.sum_milli == 0


@pytest.mark.parametrize("value", [0, 0.0, -0.0, 0.0004])
def test_zero_has_a_bin_apart(value: float) -> None:
    assert distribution_of(value).bins == {ZERO_BIN: 1}
    assert middle_of(ZERO_BIN) == 0


def test_sums_are_exact_where_floats_are_not() -> None:
    assert distribution_of(*[0.1] * 10).sum_milli == 1000
    assert sum([0.1] * 10) != 1


def test_bins_are_those_of_seh1() -> None:
    """Away from the edges, where the logarithm's last bit decides."""
    for milli in (1, 2, 7, 95, 999, 1_001, 12_345, 1_000_000_007, 123_456_789_012_345):
        assert bin_of(milli) == floor(log(milli / 1000) / log(1.1))


@pytest.mark.parametrize("power", range(0, HIGHEST_BIN + 1, 17))
def test_an_edge_belongs_to_the_bin_above_it(power: int) -> None:
    edge = -(-1000 * 11**power // 10**power)

    assert (power - 1, power) == (bin_of(edge - 1), bin_of(edge))


def test_there_are_364_bins_and_no_more() -> None:
    assert (bin_of(1), bin_of(1000 * MAX_VALUE), MAX_BINS) == (LOWEST_BIN, HIGHEST_BIN, 364)
    assert distribution_of(0.001, MAX_VALUE).bins == {LOWEST_BIN: 1, HIGHEST_BIN: 1}


def test_one_value_is_published_as_it_was() -> None:
    assert distribution_of(20.5).points() == [(20.5, 1)]


def test_equal_values_are_published_as_they_were() -> None:
    assert distribution_of(95.367, 95.367).points() == [(95.367, 2)]


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    distribution = distribution_of(*range(1, 1001))

    assert distribution.percentile(0.5) == pytest.approx(500, rel=0.05)
    assert distribution.percentile(0.99) == pytest.approx(990, rel=0.05)
    assert distribution.percentile(1) == pytest.approx(1000, rel=0.05)
    assert Distribution().percentile(0.5) is None


def test_absorbing_adds_everything_up() -> None:
    one, other = distribution_of(1, 5), distribution_of(0, 5, 700)
    one.absorb(other)

    assert (one.count(), one.sum_milli, one.min_milli, one.max_milli) == (5, 711_000, 0, 700_000)
    assert one.bins == distribution_of(0, 1, 5, 5, 700).bins
