"""The benchmarks' statistics: medians, intervals, pairs, turns."""

import statistics

import pytest
from bench.stats import Interval, bootstrap, differences, quantile, rotated, slope, summary


def test_a_summary_holds_extremes_median_and_the_interpolated_p90() -> None:
    found = summary([5, 1, 4, 2, 3])

    assert (found.n, found.least, found.median, found.most) == (5, 1, 3, 5)
    assert found.p90 == pytest.approx(4.6)


def test_a_summary_of_one_value_is_that_value_throughout() -> None:
    assert summary([7]) == (1, 7, 7, 7, 7)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_quantiles_agree_with_the_standard_library(share: float) -> None:
    values = [0.3, 9.1, 4.4, 2.2, 7.7, 5.0, 1.8]
    deciles = statistics.quantiles(values, n=10, method="inclusive")

    assert quantile(values, share) == pytest.approx(deciles[round(share * 10) - 1])


def test_differences_are_taken_pair_by_pair() -> None:
    assert differences([11, 22, 33], [1, 2, 3]) == [10, 20, 30]


def test_a_value_without_its_partner_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        differences([1, 2, 3], [1, 2])


def test_the_interval_of_equal_values_is_a_point() -> None:
    assert bootstrap([4.0] * 30) == Interval(4, 4, 4)


def test_the_interval_surrounds_the_median_and_narrows_with_more_values() -> None:
    few, many = bootstrap([float(n) for n in range(20)]), bootstrap([n / 50 for n in range(1000)])

    assert few.low < few.median < few.high
    assert many.low < many.median < many.high
    assert (many.high - many.low) < (few.high - few.low) / 3


def test_the_same_values_give_the_same_interval() -> None:
    values = [1.0, 3.0, 8.0, 2.0, 9.0]

    assert bootstrap(values) == bootstrap(values)


def test_one_wild_value_hardly_moves_the_interval() -> None:
    calm = [10.0 + n / 100 for n in range(40)]

    assert bootstrap([*calm, 100_000.0]).high < 10.5


def test_the_slope_is_that_of_the_line_that_the_points_lie_on() -> None:
    assert slope([(0, 5), (1, 7), (2, 9)]) == pytest.approx(2)


def test_each_item_comes_first_equally_often() -> None:
    turns = [rotated("ABCD", turn) for turn in range(8)]

    assert ["".join(turn) for turn in turns[:5]] == ["ABCD", "BCDA", "CDAB", "DABC", "ABCD"]
    assert all(sorted(turn) == list("ABCD") for turn in turns)
