"""Each invocation that began leaves one record, with the right ending, and its evidence.

The matrix is how it ends, by what the environment has been through, by when records are printed, by platform.
"""

from itertools import chain, product

import pytest
from tests.integration.platform.endings_table import CASES, STATES, UNCOMMON, Case, line_of
from tests.integration.platform.stages import Scene, play_both
from tests.integration.platform.told import Told, assert_adds_up, assert_each_once

pytestmark = pytest.mark.usefixtures("namespaces")

MEMORY_MB = 64
"""A bare Python has 15 of them."""

OFTEN = {"AFTERGLOW_SAMPLE_MAX_MS": "40"}
"""On a machine with many processes, unlike Lambda's, the slowest rate is the only one."""

MATRIX = [
    *product(CASES, STATES, ["next"], ["builtin"]),
    *product([case for case in CASES if case.everywhere], ["warm"], ["end", "interval"], ["builtin"]),
    *product([case for case in CASES if case.everywhere], ["warm"], ["next"], ["rie"]),
    *product([case for case in CASES if not case.slow], ["first"], ["end"], ["rie"]),
]


@pytest.mark.parametrize(
    ("case", "state", "flush", "platform"), MATRIX, ids=[f"{case.do}-{'-'.join(rest)}" for case, *rest in MATRIX]
)
def test_it_leaves_one_record_with_the_right_ending(case: Case, state: str, flush: str, platform: str) -> None:
    scene = Scene(platform=platform, env={"AFTERGLOW_FLUSH": flush, **OFTEN}, settings={"memory_mb": MEMORY_MB})
    before = ["returns"] * STATES[state]
    story, without = play_both(scene, [{"do": name, "mb": 50} for name in [*before, case.do, "returns"]])

    assert without.heard == story.heard, f"the layer changed an answer\n{story}"
    statuses = [*["ok"] * len(before), case.status, "ok"]
    assert statuses == list(chain.from_iterable(told.statuses for told in story.told)), str(story)
    for told in story.told:
        assert_each_once(told)
        assert_adds_up(told)
    assert_evidence(case, story.told[0], len(before) + 1)


def assert_evidence(case: Case, told: Told, index: int) -> None:
    """The record says who knows, and there is an Ending where there must be one, with stacks and memory."""
    invocation = next(each for each in told.invocations if each.index == index)
    assert case.source in (None, invocation.sources["status"]), str(told)
    assert [invocation.request_id] * (case.status in UNCOMMON) == [each.request_id for each in told.endings], str(told)
    for ending in told.endings:
        assert (case.status, index) == (ending.status, ending.index), str(told)
        frames = [frame for stack in ending.stacks for frame in stack]
        for mark in case.where:
            assert any(frame.startswith(line_of(mark) + " ") for frame in frames), (line_of(mark), frames)
        assert case.detail is None or case.detail in (ending.detail or ""), str(told)
        assert not case.slow or len(ending.memory_curve) >= 3, str(told)
        assert not case.slow or (ending.peak_rss_bytes or 0) > 8 << 20, str(told)
