"""The picture: time awake to scale, frozen time folded, work drawn from its return to its end."""

import itertools

import pytest
from tests.unit.sample_runs import (
    START_MS,
    call,
    environment,
    facts,
    finding,
    init,
    invocation,
    records,
    resumed,
)

from afterglow.records import Finding, Shutdown
from afterglow_collector.axis import Stretch, lay_out
from afterglow_collector.bars import bars_of
from afterglow_collector.chart import draw
from afterglow_collector.document import build_document
from afterglow_collector.timeline import chosen, stretches_of


def picture(*findings: Finding, columns: int = 96) -> dict[str, str]:
    """Return the chart's rows by their label; the header has none."""
    document = build_document(records(*findings), facts())
    lines = [line.plain for line in draw(bars_of(document), stretches_of(document), columns)]
    return {line[:13].strip(): line[22:] for line in lines}


def test_frozen_time_takes_a_labelled_band_however_long_it_was() -> None:
    rows = picture()

    assert rows[""].count("502 ms") == 2
    assert rows["#1"].count("░") == 16


def test_resumed_work_is_drawn_across_the_freeze_to_its_end_in_the_next_invocation() -> None:
    rows = picture(finding(), resumed())
    work, second = rows["[1] thread"], rows["#2"]

    assert work.lstrip("░ ").startswith("━╌╌╌╌╌╌╌╌━"), work
    assert work.index("●") in range(second.index("█"), second.rindex("█")), f"\n{second}\n{work}"


def test_lost_work_is_drawn_to_the_end_with_a_cross() -> None:
    lost = finding(outcome="lost", reason="SHUTDOWN", at_ms=START_MS + 1355, wall_ms=60.0, frozen_ms=1004.0)
    rows = picture(lost)

    assert rows["[1] thread"].rstrip().endswith("✗")


def test_work_stands_below_the_invocation_that_started_it() -> None:
    late = finding(finding_id="f2", request_id="request-2", request_index=2, wall_ms=5.0)

    assert [
        b.label.strip()
        for b in bars_of(build_document(records(finding(wall_ms=3.0), late), facts()))
        if b.kind in ("handler", "work")
    ] == ["#1", "[1] thread", "#2", "[1] thread", "#3"]


def test_a_second_environment_has_its_own_init_and_the_first_its_shutdown() -> None:
    crash = [Shutdown(START_MS + 260, "ReleaseFail", 0, 1.0), environment("env-2"), init(at=760)]
    stream = [environment(), init(), invocation(1, 220), *crash, invocation(1, 980, request_id="request-2")]
    calls = [call(1, 0, took_ms=252.0), call(2, 756, took_ms=260.0)]

    bars = [b for b in bars_of(build_document(stream, facts(calls=calls))) if b.kind != "phase"]

    assert [bar.label for bar in bars] == ["Init", "#1", "Shutdown", "Init", "#2"]


def test_the_freeze_before_shutdown_is_drawn_where_the_run_knows_of_it() -> None:
    down = Shutdown(START_MS + 1824, "SandboxTerminated", 0, 8.0)
    stream = [*records()[:-1], down]

    known = stretches_of(build_document(stream, facts(frozen_after_ms=501.0)))
    unknown = stretches_of(build_document(stream, facts()))

    assert [(s.fold, s.label) for s in known if s.fold][-1] == ("frozen", "501 ms")
    assert [(s.fold, s.label) for s in unknown if s.fold][-1] == ("idle", "502 ms")


def test_an_environment_that_ended_with_its_invocation_was_not_frozen_after_it() -> None:
    stream = [*records()[:-1], Shutdown(START_MS + 1324, "TIMEOUT", 0, 8.0)]

    known = stretches_of(build_document(stream, facts(frozen_after_ms=501.0)))

    assert "501 ms" not in [stretch.label for stretch in known], known


def test_the_phases_of_init_stand_in_their_order() -> None:
    rows = picture()

    starts = [rows[label].index("▂") for label in ("extension", "runtime", "import")]
    assert sorted(starts) == starts


def test_stretches_that_do_not_fit_go_to_a_further_axis() -> None:
    awake = [Stretch(n * 600.0, n * 600.0 + 50, "", None) for n in range(20)]
    frozen = [Stretch(a.to_ms, b.from_ms, "550 ms", "frozen") for a, b in itertools.pairwise(awake)]
    stretches = [s for pair in zip(awake, [*frozen, None], strict=True) for s in pair if s]

    axes = lay_out(stretches, 58)

    assert len(axes) > 1
    assert stretches == [placed.stretch for axis in axes for placed in axis.placed]
    assert all(axis.columns <= 58 for axis in axes)


@pytest.mark.parametrize("columns", [20, 58, 98])
def test_columns_grow_with_time(columns: int) -> None:
    axis = lay_out([Stretch(0, 10, "", None), Stretch(10, 900, "x", "frozen"), Stretch(900, 1000, "", None)], columns)[
        0
    ]

    firsts = [axis.span(at, at)[0] for at in range(0, 1001, 5)]

    assert sorted(firsts) == firsts
    assert max(firsts) < columns


def test_a_long_run_draws_what_something_happened_to() -> None:
    stream = records(finding(request_id="request-20", request_index=20, resumed_in="request-21", resumed_index=21))
    stream[2:5] = [invocation(n, 600 * n) for n in range(1, 41)]
    document = build_document(stream, facts(calls=[call(n, 600 * n - 1) for n in range(1, 41)]))

    assert [i["invocation"] for i in chosen(document)] == [1, 2, 20, 21, 39, 40]
    assert [s.label for s in stretches_of(document) if s.fold == "skipped"] == ["#3–#19", "#22–#38"]  # noqa: RUF001
