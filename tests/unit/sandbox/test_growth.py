"""What grows with every invocation is told; what fills up, stays, falls back or steps once is not."""

import pytest

from afterglow.growth import AGAIN, STEPS, Growing, Growth
from afterglow.state_findings import StateFindings, killed, piled


def told(values: list[int | None], least: int = 1) -> list[Growth]:
    growing = Growing(least)
    return [growth for value in values if (growth := growing.note(value)) is not None]


def test_one_more_with_each_invocation_is_told_once_it_is_sure() -> None:
    assert [Growth(3, 3 + STEPS, STEPS + 1)] == told(list(range(3, 4 + STEPS)))


def test_it_is_told_again_when_it_is_ten_times_as_much() -> None:
    values = list(range(STEPS * AGAIN + 1))

    assert [STEPS, STEPS * AGAIN] == [growth.now - growth.before for growth in told(values)]


def test_a_figure_that_is_not_known_breaks_no_row() -> None:
    assert 1 == len(told([*range(4), None, *range(4, 2 + STEPS)]))


@pytest.mark.parametrize(
    "values",
    [
        [5] * 40,
        [*range(STEPS), *[STEPS - 1] * 40],  # a pool that fills up
        [value % 6 for value in range(60)],  # a saw-tooth
        [3] * 10 + [9] * 30,  # one step
        [2**n for n in range(20)],  # steps of all sizes: nothing that comes with each invocation
        [10, *range(5), 10, *range(5)] * 4,
    ],
    ids=["constant", "pool", "saw-tooth", "step", "doubling", "sawing"],
)
def test_bounded_and_single_steps_are_not_told(values: list[int | None]) -> None:
    assert [] == told(values)


def test_a_step_below_the_least_is_none() -> None:
    assert [] == told(list(range(0, 1000, 10)), least=4096)


def test_open_files_and_tmp_are_findings_in_words() -> None:
    states = StateFindings()
    seen = [found for n in range(8) for found in states.grown({"fds": 10 + n, "tmp_bytes": n * (1 << 20)})]

    assert ["fd-left", "tmp-left"] == [found.what for found in seen]
    assert "more at each of the last 8 returns: 10 → 17 open file descriptors" == seen[0].state
    assert "0.0 → 7.0 MB" in seen[1].state


def test_a_killed_child_is_told_with_its_name_and_its_memory() -> None:
    one = killed(1, ("convert", 300 << 20), 320)

    assert ("ending", "killed-child", "convert", 1) == (one.kind, one.what, one.name, one.jobs)
    assert "the kernel killed convert, which had 300 MB, for memory; the function has 320 MB" == one.state
    assert "2 processes, convert among them" in killed(2, ("convert", 1), None).state
    assert "killed a process" in killed(1, None, None).state


def test_piled_threads_have_the_line_that_starts_them() -> None:
    seen = piled({"count": 6, "of": 5, "name": "work"}, None)

    assert ("state", "threads-left", 6) == (seen.kind, seen.what, seen.jobs)
    assert "6 threads from 5 invocations" in seen.state
