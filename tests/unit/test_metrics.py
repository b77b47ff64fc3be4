"""The catalogue agrees with its page, with CloudWatch's rules and with what is measured."""

import re
from pathlib import Path

import pytest

from afterglow.emf import DIMENSIONS
from afterglow.emf_limits import MAX_METRIC_NAME
from afterglow.measures import MEASURES
from afterglow.metrics import CATALOGUE, DEFAULT_METRICS, METRICS, choose
from afterglow.settings import DIMENSIONS as SETTABLE_DIMENSIONS
from afterglow_collector.emf_check_directive import UNITS

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def rows_of_the_page() -> list[list[str]]:
    rows = [line.strip("| \n").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if re.fullmatch(r"`\w+`", row[0])]


def test_the_page_lists_the_catalogue() -> None:
    assert rows_of_the_page() == [
        [f"`{one.name}`", one.unit, one.shape, "yes" if one.default else "no", one.source, one.meaning]
        for one in CATALOGUE
    ]


def test_names_are_unique() -> None:
    assert len(METRICS) == len(CATALOGUE)


def test_every_unit_is_one_of_cloudwatchs() -> None:
    assert {one.unit for one in CATALOGUE} <= UNITS


def test_every_name_is_short_and_distinct_from_the_dimensions_on_the_same_root() -> None:
    assert all(len(name) <= MAX_METRIC_NAME for name in METRICS)
    assert not METRICS.keys() & {*DIMENSIONS, "_aws"}


def test_every_metric_is_measured_and_every_measured_one_is_in_the_catalogue() -> None:
    assert set(METRICS) == {name for measure in MEASURES.values() for name in measure.names}


def test_the_settings_offer_the_dimensions_that_can_be_published() -> None:
    assert list(DIMENSIONS) == list(SETTABLE_DIMENSIONS)


def test_the_default_set_costs_no_more_than_five_dollars_a_month_and_function() -> None:
    assert len(DEFAULT_METRICS) * 0.30 <= 5


def test_choosing_an_unknown_metric_names_it_and_the_known_ones() -> None:
    assert choose(["DurationMs", "Errors"]) == {"DurationMs", "Errors"}
    with pytest.raises(ValueError, match="no metric is called 'Duration'; known: Invocations, ColdStarts"):
        choose(["Errors", "Duration"])
