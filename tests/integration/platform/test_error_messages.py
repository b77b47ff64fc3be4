"""What an exception says stays in the function, unless AFTERGLOW_ERROR_MESSAGES lets its first words out."""

from pathlib import Path

import pytest
from tests.integration.platform.stages import Scene, Story, play_both, started
from tests.integration.platform.told import read_told

pytestmark = pytest.mark.usefixtures("namespaces")

RAISING = ("raises", "raises_at_length", "raises_what_cannot_be_said", "answers_with_no_json", "system_exit")
ALLOWED = {"AFTERGLOW_ERROR_MESSAGES": "on"}
MOST_CHARACTERS = 256


def everything_said(story: Story) -> str:
    """Return all that left the extension: records, and what it printed."""
    printed = [each.detail["line"] for each in story.seen if each.kind == "output" and each.who == "afterglow"]
    return "\n".join([*map(str, story.told), *printed])


@pytest.mark.parametrize("value", ["", "off", "nonsense"])
def test_no_message_leaves_the_function(value: str) -> None:
    scene = Scene(env={"AFTERGLOW_ERROR_MESSAGES": value})
    story, without = play_both(scene, [{"do": name} for name in RAISING])
    invocations = [each for told in story.told for each in told.invocations]

    assert without.heard == story.heard, str(story)
    assert [None] * len(RAISING) == [each.error_message for each in invocations], str(story)
    assert "secret" not in everything_said(story)


def test_allowed_messages_are_cut_and_never_break_anything() -> None:
    story, without = play_both(Scene(env=ALLOWED), [{"do": name} for name in RAISING])
    invocations = [each for told in story.told for each in told.invocations]
    said = {do: each.error_message for do, each in zip(RAISING, invocations, strict=True)}

    assert without.heard == story.heard, str(story)
    assert "'secret'" == said["raises"]
    assert ("secret ? " + "x" * 300)[:MOST_CHARACTERS] == said["raises_at_length"]
    assert said["raises_what_cannot_be_said"] is None
    assert "not JSON serializable" in (said["answers_with_no_json"] or "")
    assert "4" == said["system_exit"]
    assert not [line for line in story.lines if "hook" in line], story.lines


@pytest.mark.parametrize(("env", "message"), [({}, None), (ALLOWED, "secret")], ids=["off", "on"])
def test_an_import_that_raised(env: dict[str, str], message: str | None, tmp_path: Path) -> None:
    records = tmp_path / "records.ndjson"
    with started(Scene(env={**env, "AT_IMPORT": "raise"}), records) as function:
        function.invoke({})
    endings = [ending for told in read_told(records) for ending in told.endings]

    assert ["ValueError"] * 2 == [ending.detail for ending in endings]
    assert [message] * 2 == [ending.error_message for ending in endings]
