"""The memory of invocations that grew is drawn; what is no news is not."""

import io

import pytest
from rich.console import Console
from tests.unit.sample_runs import MB

from afterglow_collector.memory_curves import growths_of, memory_curves


def document(*courses: list[int], ended: int | None = None, configured_mb: int = 128) -> dict[str, object]:
    """Return what the curves need: one environment, an invocation per course of looks in MB, 10 ms apart."""
    samples = [
        {"environment": 1, "request_index": nth, "at_ms": nth * 1_000 + look * 10, "function_rss_bytes": mb * MB}
        for nth, course in enumerate(courses, 1)
        for look, mb in enumerate(course)
    ]
    between = {"environment": 1, "request_index": None, "at_ms": 5.0, "function_rss_bytes": 900 * MB}
    return {
        "invocations": [{"invocation": n, "environment": 1, "index": n} for n in range(1, len(courses) + 1)],
        "endings": [{"invocation": ended}] if ended else [],
        "memory": {"configured_mb": configured_mb, "samples": [*samples, between]},
    }


def drawn(of: dict[str, object], columns: int) -> str:
    console = Console(width=columns, record=True, file=io.StringIO())
    for line in memory_curves(of, columns):
        console.print(line)
    return console.export_text()


@pytest.mark.parametrize(
    ("course", "configured_mb", "grew"),
    [
        ([20, 60], 128, True),
        ([20, 35], 128, False),
        ([20, 60], 1_024, False),
        ([60, 20], 128, False),
        ([60], 128, False),
    ],
    ids=["much", "a module or two", "little of what there is", "shrunk", "one look"],
)
def test_growth_is_a_good_deal_of_the_memory(course: list[int], configured_mb: int, grew: bool) -> None:
    found = growths_of(document(course, configured_mb=configured_mb))

    assert [40.0] * grew == [growth.grew_mb for growth in found]


def test_an_invocation_with_a_bad_end_has_its_curve_there() -> None:
    assert [2] == [growth.invocation for growth in growths_of(document([20, 90], [30, 90], ended=1))]


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_curves_say_from_where_to_where_and_keep_to_their_columns(columns: int) -> None:
    text = drawn(document([20, 40, 60]), columns)

    assert "#1 grew by 40 MB, from 20 MB to 60 MB" in text
    assert "20 ms before" in text
    assert max(map(len, text.splitlines())) <= columns


def test_of_many_the_three_that_grew_most_are_drawn_in_order() -> None:
    text = drawn(document(*[[20, 20 + 10 * n] for n in (2, 5, 3, 4)]), 80)

    assert ["#2", "#3", "#4"] == [line.split()[0] for line in text.splitlines() if "grew by" in line]
    assert "and 1 more invocation grew" in text
