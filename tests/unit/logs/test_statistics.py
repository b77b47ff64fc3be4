"""Figures by function: additive, exact under any partition, the same after a trip through the cursor file."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.logs.lines import report_text
from tests.unit.sinks.samples import NOW_MS, batch_of, finding, init, invocation

from afterglow_collector.logs.cursor import Cursor, Progress, PullCursorError, read_cursor, write_cursor
from afterglow_collector.logs.document import Setting, build_document
from afterglow_collector.logs.message import read_message
from afterglow_collector.logs.pull import MINUTE_MS, SETTLED_MS, SLICE_MS, Stretch, all_figures, plan_slices
from afterglow_collector.logs.statistics import Statistics
from afterglow_collector.logs.statistics_state import from_state, to_state
from afterglow_collector.prices.table import read_prices

HOUR_MS = 3_600_000
SETTING = Setting(["/aws/lambda/f"], NOW_MS - 24 * HOUR_MS, NOW_MS, read_prices(), {})

reports = st.lists(
    st.builds(
        report_text,
        st.just("r"),
        st.floats(0, 10_000).map(lambda value: round(value, 2)),
        memory_mb=st.sampled_from([128, 1024]),
        used_mb=st.integers(30, 128),
        init_ms=st.none() | st.floats(1, 1000).map(lambda value: round(value, 2)),
    ),
    max_size=20,
)


def figures_of(*messages: str) -> Statistics:
    figures = Statistics()
    for message in messages:
        figures.add(read_message(message))
    return figures


@given(reports, st.integers(0, 20))
def test_the_sum_of_parts_is_the_whole(messages: list[str], cut: int) -> None:
    whole = {"f": figures_of(*messages)}
    parts = [{"f": figures_of(*messages[:cut])}, {"f": figures_of(*messages[cut:])}]

    assert to_state(whole) == to_state(all_figures(parts)) == to_state(all_figures(reversed(parts)))


@given(reports)
def test_figures_survive_the_cursor_file(messages: list[str]) -> None:
    state = to_state({"f": figures_of(*messages)})

    assert state == to_state(from_state(json.loads(json.dumps(state))))


def test_a_function_with_and_without_the_layer_counts_each_thing_once() -> None:
    records = batch_of(init(), invocation(1), finding(), finding(changes=["resumed"])).splitlines()
    counts = figures_of(report_text(init_ms=200.0), *records).counts

    assert (1, 1, 5, 1, 1) == tuple(counts[n] for n in ("reports", "cold_starts", "records", "lingering", "resumed"))


def test_the_document_tells_what_a_team_wants_to_know() -> None:
    slow = [report_text("r", 1000.0, memory_mb=1024, used_mb=300)] * 99 + [
        report_text("r", 3000.0, memory_mb=1024, used_mb=900, init_ms=500.0, extra="Status: timeout")
    ]
    document = build_document({"cheap": figures_of(report_text()), "slow": figures_of(*slow)}, SETTING)
    first, second = document["functions"]

    assert ["slow", "cheap"] == [first["function"], second["function"]]
    assert (100, 1, 1, 1) == (first["invocations"], first["errors"], first["timeouts"], first["cold_starts"])
    assert 0.01 == first["cold_start_share"]
    assert pytest.approx(1000, rel=0.05) == first["duration_ms"]["p50"]
    assert (3000, 500, 900) == (first["duration_ms"]["max"], first["init_ms"]["max"], first["memory_mb"]["used"]["max"])
    assert [1024] == first["memory_mb"]["configured"]
    assert 102.5 == first["cost"]["gb_seconds"]
    assert pytest.approx(102.5 * 0.0000166667, abs=1e-6) == first["cost"]["duration"]
    assert (None, "x86_64") == (first["arch"], first["cost"]["assumed_arch"])
    assert None is second["init_ms"]


def test_inits_that_failed_are_counted_and_those_that_did_not_are_no_news() -> None:
    lines = [f"INIT_REPORT Init Duration: 10.0 ms\tPhase: init\tStatus: {status}" for status in ("timeout", "error")]
    figures = figures_of(*lines, "INIT_REPORT Init Duration: 10.0 ms\tPhase: init\tStatus: success", report_text())

    assert (2, 1, 0) == tuple(figures.counts[name] for name in ("failed_inits", "reports", "cold_starts"))


def test_the_layer_and_lambda_itself_know_the_architecture() -> None:
    figures = {"f": figures_of(report_text(), batch_of().splitlines()[0]), "g": figures_of(report_text())}
    document = build_document(figures, SETTING._replace(architectures={"g": "arm64"}))

    assert ["arm64", "arm64"] == [row["arch"] for row in document["functions"]]


def test_a_stretch_is_cut_into_hours_and_what_is_not_settled() -> None:
    slices = plan_slices("g", Stretch(NOW_MS - 24 * HOUR_MS, NOW_MS, NOW_MS), NOW_MS - 24 * HOUR_MS)

    assert all(before.to_ms == after.from_ms for before, after in pairwise(slices))
    assert (NOW_MS - 24 * HOUR_MS, NOW_MS) == (slices[0].from_ms, slices[-1].to_ms)
    assert all(piece.to_ms - piece.from_ms <= SLICE_MS for piece in slices)
    assert [NOW_MS - SETTLED_MS] == [piece.from_ms for piece in slices if not piece.settled]


def test_what_is_done_is_not_planned_again() -> None:
    asked = Stretch(NOW_MS - HOUR_MS, NOW_MS, NOW_MS)
    slices = plan_slices("g", asked, NOW_MS - 20 * MINUTE_MS)

    assert NOW_MS - 20 * MINUTE_MS == slices[0].from_ms
    assert [] == plan_slices("g", asked._replace(to_ms=NOW_MS - 20 * MINUTE_MS), NOW_MS - 20 * MINUTE_MS)


def test_a_cursor_is_what_was_written(tmp_path: Path) -> None:
    cursor = Cursor(1, {"g": Progress(5, {"f": figures_of(report_text())})})
    write_cursor(tmp_path / "cursor", cursor)
    read = read_cursor(tmp_path / "cursor")

    assert read is not None
    assert (1, 5) == (read.from_ms, read.groups["g"].done_to_ms)
    assert to_state(cursor.groups["g"].functions) == to_state(read.groups["g"].functions)
    assert None is read_cursor(tmp_path / "none")


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"v": 2}', '{"v": 1, "from_ms": -1, "groups": {}}', '{"v": 1, "from_ms": 1, "groups": {"g": 1}}'],
)
def test_a_cursor_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "cursor").write_text(text)

    with pytest.raises(PullCursorError, match="is no cursor file"):
        read_cursor(tmp_path / "cursor")
