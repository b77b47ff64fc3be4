"""How an environment came to be: on demand, ahead of time, from a snapshot, or again inside an invocation."""

import pytest
from tests.integration.platform.stages import Scene, play_both
from tests.integration.platform.told import assert_adds_up, assert_each_once

from afterglow_layer.emulator.settings import InitType

pytestmark = pytest.mark.usefixtures("namespaces")

THREE = [{"do": "returns"}] * 3


@pytest.mark.parametrize("init_type", [InitType.ON_DEMAND, InitType.PROVISIONED, InitType.SNAP_START])
@pytest.mark.parametrize("flush", ["next", "end"])
def test_an_environment_says_how_it_was_initialised(init_type: InitType, flush: str) -> None:
    story, without = play_both(Scene(env={"AFTERGLOW_FLUSH": flush}, settings={"init_type": init_type}), THREE)
    (told,) = story.told
    (said,) = [
        seen.detail["record"]["metrics"]["durationMs"]
        for seen in story.seen
        if seen.kind == "telemetry.event" and seen.detail["type"] == "platform.initReport"
    ]

    assert without.heard == story.heard, str(story)
    assert init_type.value == told.environment.init_type, str(told)
    assert ["ok"] * 3 == told.statuses, str(told)
    assert flush == "end" or (said, "platform", "init") == (
        told.init.init_ms,
        told.init.sources["init_ms"],
        told.init.phase,
    ), str(told)
    assert_each_once(told)
    assert_adds_up(told)


def test_a_restore_is_timed_by_the_platform() -> None:
    story, _ = play_both(Scene(settings={"init_type": InitType.SNAP_START}), THREE)
    (told,) = story.told
    (said,) = [
        seen.detail["record"]["metrics"]["durationMs"]
        for seen in story.seen
        if seen.kind == "telemetry.event" and seen.detail["type"] == "platform.restoreReport"
    ]

    assert (said, "platform") == (told.init.restore_ms, told.init.sources["restore_ms"]), str(told)


def test_nothing_was_restored_on_demand() -> None:
    story, _ = play_both(Scene(), THREE)
    (told,) = story.told

    assert told.init.restore_ms is None, str(told)


def test_an_init_inside_an_invocation_says_so() -> None:
    """After a crash, Lambda initialises again on the next invocation's time (a suppressed init)."""
    story, _ = play_both(Scene(), [{"do": "returns"}, {"do": "exits"}, {"do": "returns"}])
    first, second = story.told

    assert ("init", "invoke") == (first.init.phase, second.init.phase), str(story)
    assert second.init.init_ms is not None, str(second)
