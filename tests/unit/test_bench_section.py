"""Sections of the results: what is said of a budget, and that one section can be replaced without the others."""

import pytest
from bench.section import Budget, Section, Table, comparison, markdown, plain, replaced, verdict
from bench.stats import Interval

ORDER = ("cold", "warm", "size")


def test_a_budget_that_is_met_says_what_is_to_spare() -> None:
    said = verdict(Budget("Cold", 12, "ms", Interval(10.5, 10.1, 10.9)))

    assert said == ("Cold: budget ≤ 12 ms, measured 10.5 ms (95 % interval 10.1 … 10.9): **met** with 1.5 ms to spare.")


def test_a_budget_that_is_missed_says_by_how_much() -> None:
    assert "**missed** by 3 ms." in verdict(Budget("Cold", 12, "ms", Interval(15, 14, 16)))


@pytest.mark.parametrize("found", [Interval(11.8, 11, 12.5), Interval(12.2, 11.5, 13)])
def test_a_verdict_that_chance_could_turn_says_so(found: Interval) -> None:
    assert verdict(Budget("Cold", 12, "ms", found)).endswith("; the interval reaches across the budget.")


def test_exactly_the_budget_is_met() -> None:
    assert "**met** with 0 ms" in verdict(Budget("Cold", 12, "ms", Interval(12, 12, 12)))


def test_a_comparison_shows_each_arm_and_what_it_adds() -> None:
    table = comparison({"none": [1, 2, 3], "ours": [2, 3, 4]}, {"ours": [1, 1, 1]}, "ms")

    assert table.rows == [
        ["none", "3", "1.00", "2.00", "2.80", "", "baseline"],
        ["ours", "3", "2.00", "3.00", "3.80", "+1.00", "+1.00 … +1.00"],
    ]


def test_an_arm_without_values_yet_has_no_row() -> None:
    assert plain({"none": [1.0], "ours": []}, "ms").rows == [["none", "1", "1.00", "1.00", "1.00"]]


def test_a_section_is_markdown_from_its_heading_to_its_facts() -> None:
    section = Section(
        "How.", [Budget("It", 2, "ms", Interval(1, 1, 1))], [Table(["", "n"], [["a", "1"]], "Cap")], ["N."]
    )

    assert markdown("cold", "a title", section, ["`command`", "machine"]).splitlines() == [
        "## cold: a title",
        "",
        "How.",
        "",
        "- It: budget ≤ 2 ms, measured 1 ms: **met** with 1 ms to spare.",
        "",
        "Cap",
        "",
        "| | n |",
        "| --- | ---: |",
        "| a | 1 |",
        "",
        "- N.",
        "",
        "<sub>`command`</sub>  ",
        "<sub>machine</sub>",
    ]


def test_a_section_is_replaced_and_its_neighbours_stay_as_they_are() -> None:
    before = "# Results\n\nWords.\n\n## cold: a\n\nold\n\n## size: b\n\nkept\n"

    after = replaced(before, "cold", "## cold: a\n\nnew\n", ORDER)

    assert after == "# Results\n\nWords.\n\n## cold: a\n\nnew\n\n## size: b\n\nkept\n"


def test_a_new_section_takes_its_place_in_the_order() -> None:
    before = "# Results\n\n## size: b\n\nkept\n\n## other: by hand\n\nkept, too\n"

    after = replaced(before, "warm", "## warm: w\n\nnew\n", ORDER)

    headings = [line for line in after.splitlines() if line.startswith("#")]
    assert headings == ["# Results", "## warm: w", "## size: b", "## other: by hand"]


def test_replacing_twice_is_replacing_once() -> None:
    once = replaced("# Results\n", "cold", "## cold: a\n\nnew\n", ORDER)

    assert replaced(once, "cold", "## cold: a\n\nnew\n", ORDER) == once


def test_the_first_section_of_all_needs_no_file() -> None:
    assert replaced("", "cold", "## cold: a\n\nnew\n", ORDER) == "## cold: a\n\nnew\n"
