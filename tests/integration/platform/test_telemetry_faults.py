"""Telemetry that comes late, twice, in pieces, broken or not at all: figures are merged, and counted once.

The function notices nothing of it; what did not arrive whole is in the ledger.
"""

from collections.abc import Mapping
from statistics import quantiles
from typing import Any, NamedTuple

import pytest
from tests.integration.platform.stages import Scene, Story, play, play_both
from tests.integration.platform.told import Told, assert_adds_up, assert_each_once

from afterglow.records import Report
from afterglow_layer.emulator import Misbehaviour

pytestmark = pytest.mark.usefixtures("namespaces")

EVENTS = [*[{"do": "returns"}] * 8, {"do": "raises"}, *[{"do": "sleeps", "ms": 60}] * 2]
STATUSES = [*["ok"] * 8, "error", *["ok"] * 2]
MOST_ADDED_MS = 25.0
"""On a busy machine; nothing of ours waits for telemetry, and what would wait would wait in every invocation."""


class Fault(NamedTuple):
    """What goes wrong with telemetry, whether the platform's figures still get through, and what the ledger says."""

    name: str
    misbehave: Misbehaviour = Misbehaviour()
    settings: Mapping[str, Any] = {}
    figures: str = "all"  # all, none, or some: then it is a race
    lost: frozenset[str] = frozenset()  # reasons that must be in the ledger
    may_be_lost: frozenset[str] = frozenset()  # no others may be there
    long_init: bool = False  # subscriptions are taken during Init alone, and each refusal takes its time


TOO_LATE = frozenset({"too-late"})

FAULTS = (
    Fault("none"),
    Fault("slow", Misbehaviour(slow_batches_ms=100)),
    Fault("dribbled", Misbehaviour(dribble_ms=5)),
    Fault("late", Misbehaviour(late_batches=True)),
    Fault("twice", Misbehaviour(duplicate_batches=True), may_be_lost=TOO_LATE),  # or in time
    Fault("reordered", Misbehaviour(reorder_batches=True), may_be_lost=TOO_LATE),
    Fault("split", Misbehaviour(split_batches=True)),
    Fault("split-reordered", Misbehaviour(split_batches=True, reorder_batches=True), may_be_lost=TOO_LATE),
    Fault("long-lines", Misbehaviour(oversize_bytes=300_000)),
    Fault("too-long", Misbehaviour(oversize_bytes=5_000_000), figures="none", lost=frozenset({"too-long"})),
    Fault("malformed", Misbehaviour(malformed_batches=True), figures="none", lost=frozenset({"not-a-batch"})),
    Fault("cut", Misbehaviour(cut_batches=True), figures="none", lost=frozenset({"cut-off"})),
    Fault("no-flush", Misbehaviour(no_flush_at_shutdown=True), figures="some", may_be_lost=TOO_LATE),
    Fault(
        "slow-no-flush",
        Misbehaviour(slow_batches_ms=400, no_flush_at_shutdown=True),
        figures="some",
        may_be_lost=TOO_LATE,
    ),
    Fault("unsupported", Misbehaviour(telemetry_unsupported=True), figures="none"),
    Fault("refused", Misbehaviour(errors_500={"telemetry": 1}), figures="none"),
    Fault("reset", Misbehaviour(resets={"telemetry": 1}), figures="none"),
    Fault("schema-2022-12-13", long_init=True, settings={"telemetry_schemas": ("2022-12-13", "2022-07-01")}),
    Fault("schema-2022-07-01", long_init=True, settings={"telemetry_schemas": ("2022-07-01",)}),
    Fault("no-schema-of-ours", settings={"telemetry_schemas": ("2030-01-01",)}, figures="none"),
)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_figures_are_merged_and_nothing_is_counted_twice(fault: Fault) -> None:
    env = {"AT_IMPORT": "pause"} if fault.long_init else {}
    scene = Scene(env=env, settings={"timeout_ms": 5_000, **fault.settings}, misbehave=fault.misbehave)
    story, without = play_both(scene, EVENTS)
    (told,) = story.told

    assert without.heard == story.heard, f"the layer changed an answer\n{story}"
    assert STATUSES == [each.status for each in sorted(told.invocations, key=lambda each: each.index)], str(story)
    assert_each_once(told)
    assert_adds_up(told)
    assert_figures(fault, told)
    assert_ledger(fault, told, story)
    assert usual(story.took_ms) <= usual(without.took_ms) + MOST_ADDED_MS, str(story)


def usual(took_ms: list[float]) -> float:
    """Return the lower quartile: what an invocation takes when nobody else wants the machine."""
    return quantiles(took_ms, n=4)[0]


def assert_figures(fault: Fault, told: Told) -> None:
    """The best source wins: the platform where it has spoken, else the hook; what only the platform knows is None."""
    for each in told.invocations:
        known = each.billed_ms is not None
        assert fault.figures == "some" or known == (fault.figures == "all"), str(told)
        assert each.sources.get("billed_ms") == ("platform" if known else None), str(told)
        assert each.duration_ms is not None, str(told)
        assert each.sources["duration_ms"] == "platform" or fault.figures != "all", str(told)
        assert each.sources["duration_ms"] == "hook" or fault.figures != "none", str(told)
        assert each.sources["status"] in ("hook", "platform"), str(told)
    by_platform = told.init.sources["init_ms"] == "platform"
    assert by_platform == (fault.figures == "all") or fault.figures == "some", str(told)


def assert_ledger(fault: Fault, told: Told, story: Story) -> None:
    """What arrived was seen; what could not be used has a reason."""
    loss = told.losses.get("telemetry")
    reasons = {*loss.dropped} if loss else set()
    ours = {reason for reason in reasons if not reason.startswith("dropped by Lambda")}
    assert fault.lost <= ours <= fault.lost | fault.may_be_lost, str(story)
    if fault.figures == "all" and loss is not None:
        arrived = [each.detail for each in story.seen if each.kind == "telemetry.batch"]
        assert {200} == {each["outcome"] for each in arrived}, str(story)
        assert sum(each["events"] for each in arrived) == loss.seen, str(story)


@pytest.mark.parametrize("route", ["register", "extension-next"])
@pytest.mark.parametrize("how", ["errors_500", "resets"])
def test_an_api_that_fails_once_costs_no_invocation(route: str, how: str) -> None:
    story = play(Scene(misbehave=Misbehaviour(**{how: {route: 1}}), settings={"timeout_ms": 5_000}), EVENTS[:3])

    assert [200, 200, 200] == [each.status for each in story.heard], str(story)


@pytest.mark.parametrize("flush", ["next", "end", "interval"])
@pytest.mark.parametrize("freeze", [True, False], ids=["frozen", "awake"])
def test_each_invocation_has_the_platforms_figures_whatever_comes_late(flush: str, freeze: bool) -> None:
    """Records that are out before the freeze cannot have them: they follow."""
    scene = Scene(env={"AFTERGLOW_FLUSH": flush}, settings={"timeout_ms": 20_000, "freeze": freeze})
    story = play(scene, [{"do": "returns"}] * 6)
    (told,) = story.told
    late = {report.request_id: report for report in told.of(Report)}
    billed = [late.get(each.request_id, each).billed_ms for each in told.invocations]
    durations = [late.get(each.request_id, each).duration_ms for each in told.invocations]
    platforms = [
        seen.detail["record"]["metrics"]["durationMs"]
        for seen in story.seen
        if seen.kind == "telemetry.event" and seen.detail["type"] == "platform.runtimeDone"
    ]

    assert None not in billed, str(told)
    assert platforms == durations, str(told)
    assert {} == told.dropped, str(told)
    assert_each_once(told)
    assert_adds_up(told)
