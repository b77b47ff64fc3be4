"""Waiting for a CPU that somebody has is starving; waiting for one while nobody runs was a freeze."""

from pathlib import Path

import pytest

from afterglow.starved import UNSURE_NS, parse_busy_ns, parse_throttled_ns, read_withheld_ns, starved_ns

MS = 1_000_000
STAT = "cpu  10 20 30 40 50 60 70 80 3 4\ncpu0 1 2 3 4 5 6 7 8 0 0\n"
BUSY_NS = (10 + 20 + 30 + 60 + 70 + 80) * 10 * MS
V1 = "nr_periods 9\nnr_throttled 3\nthrottled_time 5000000\nnr_bursts 0\nburst_time 0\n"
V2 = "usage_usec 900\nuser_usec 1\nsystem_usec 2\nnr_periods 4\nnr_throttled 1\nthrottled_usec 7000\n"
V2_WITHOUT_QUOTA = "usage_usec 900\nuser_usec 1\nsystem_usec 2\n"


def tree(root: Path, own: str, groups: dict[str, str], marks: tuple[str, ...]) -> tuple[str, str]:
    """Write /proc and the cgroup file systems; return both roots."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "stat").write_text(STAT)
    (root / "proc" / "self" / "cgroup").write_text(own)
    for path, text in groups.items():
        folder = root / "cgroups" / path
        folder.mkdir(parents=True)
        (folder / "cpu.stat").write_text(text)
    for mark in marks:
        (root / "cgroups" / mark).parent.mkdir(parents=True, exist_ok=True)
        (root / "cgroups" / mark).touch()
    return str(root / "proc"), str(root / "cgroups")


def test_all_of_a_run_delay_that_others_have_had_the_cpu_for_was_starving() -> None:
    assert 400 * MS == starved_ns(400 * MS, withheld_ns=800 * MS)


def test_a_run_delay_that_nobody_had_the_cpu_for_was_a_freeze() -> None:
    assert 10 * MS == starved_ns(500 * MS, withheld_ns=10 * MS)


def test_a_difference_that_ticks_can_make_is_none() -> None:
    assert 60 * MS == starved_ns(60 * MS, withheld_ns=60 * MS - UNSURE_NS + 1)


def test_where_nobody_can_be_asked_every_run_delay_was_starving() -> None:
    assert 500 * MS == starved_ns(500 * MS, withheld_ns=None)


def test_busy_is_what_is_neither_idle_nor_counted_twice() -> None:
    assert BUSY_NS == parse_busy_ns(STAT)


@pytest.mark.parametrize("text", ["", "\n", "cpu", "cpu  1 2 3", "cpu  1 2 3 4 5 6 7 x", "intr 1 2 3 4 5 6 7 8 9"])
def test_a_stat_that_makes_no_sense_is_unknown(text: str) -> None:
    assert parse_busy_ns(text) is None


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [(V1, 5 * MS), (V2, 7 * MS), (V2_WITHOUT_QUOTA, 0), ("", None), ("throttled_usec x\n", None), ("junk\n", None)],
)
def test_throttled_time_of_either_cgroup_version(text: str, expected_ns: int | None) -> None:
    assert expected_ns == parse_throttled_ns(text)


def test_every_group_from_ours_to_the_root_can_throttle_us(tmp_path: Path) -> None:
    groups = {"cpu/a": V1, "cpu/a/b": V1}
    proc, cgroups = tree(tmp_path, "4:memory:/x\n1:cpu,cpuacct:/a/b\n0::/\n", groups, ("cpu/release_agent",))

    assert BUSY_NS + 10 * MS == read_withheld_ns(proc, cgroups)


def test_the_same_with_cgroup_v2(tmp_path: Path) -> None:
    groups = {"a": V2, "a/b": V2_WITHOUT_QUOTA}
    proc, cgroups = tree(tmp_path, "0::/a/b\n", groups, ("cgroup.controllers",))

    assert BUSY_NS + 7 * MS == read_withheld_ns(proc, cgroups)


def test_in_the_root_group_nobody_throttles(tmp_path: Path) -> None:
    proc, cgroups = tree(tmp_path, "1:cpu:/\n", {}, ("cpu/release_agent",))

    assert BUSY_NS == read_withheld_ns(proc, cgroups)


@pytest.mark.parametrize(
    ("own", "groups", "marks"),
    [
        ("1:cpu:/\n", {"cpu": V1}, ()),  # a cgroup namespace: what is above cannot be seen
        ("0::/\n", {"": V2}, ("cgroup.controllers", "cgroup.events")),  # the same with v2
        ("1:cpu:/a\n", {}, ("cpu/release_agent",)),  # no cpu.stat
        ("1:cpu:/a\n", {"cpu/a": "junk\n"}, ("cpu/release_agent",)),
        ("", {}, ()),
        ("3:pids:/\n", {}, ()),
    ],
)
def test_what_cannot_be_seen_may_throttle_us(
    tmp_path: Path, own: str, groups: dict[str, str], marks: tuple[str, ...]
) -> None:
    proc, cgroups = tree(tmp_path, own, groups, marks)

    assert read_withheld_ns(proc, cgroups) is None


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    assert read_withheld_ns(str(tmp_path / "none"), str(tmp_path / "none")) is None
