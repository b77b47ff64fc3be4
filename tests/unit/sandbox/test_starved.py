"""Waiting for a CPU that somebody has is starving; waiting for one while nobody runs was a freeze."""

from pathlib import Path

import pytest

from afterglow.starved import (
    UNSURE_NS,
    Groups,
    Starved,
    Throttled,
    find_groups,
    parse_busy_ns,
    parse_throttled,
    read_busy_ns,
    read_period_ns,
    read_throttled,
    starved,
)

MS = 1_000_000
NOT = Throttled(0, 0)
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


def test_a_run_delay_that_others_have_had_the_cpu_for_was_starving() -> None:
    assert Starved(400 * MS, 400 * MS) == starved(400 * MS, NOT, 0, busy_ns=800 * MS)


def test_a_run_delay_that_nobody_had_the_cpu_for_was_a_freeze() -> None:
    assert Starved(10 * MS, 10 * MS) == starved(500 * MS, NOT, 0, busy_ns=10 * MS)


def test_a_difference_that_ticks_can_make_is_none() -> None:
    assert Starved(60 * MS, 60 * MS) == starved(60 * MS, NOT, 0, busy_ns=60 * MS - UNSURE_NS + 1)


def test_where_nobody_can_be_asked_every_run_delay_was_starving() -> None:
    assert Starved(500 * MS, 500 * MS) == starved(500 * MS, NOT, 0, busy_ns=None)


def test_time_throttled_may_be_part_of_the_run_delay_or_stand_beside_it() -> None:
    throttled = Throttled(18 * MS, 1)

    assert Starved(least_ns=20 * MS, most_ns=38 * MS) == starved(20 * MS, throttled, 18 * MS, busy_ns=None)
    assert Starved(least_ns=18 * MS, most_ns=18 * MS) == starved(0, throttled, 18 * MS, busy_ns=None)


def test_a_period_that_was_throttled_may_have_been_so_for_longer_than_was_counted() -> None:
    assert Starved(least_ns=2 * MS, most_ns=40 * MS) == starved(0, Throttled(2 * MS, 2), 20 * MS, busy_ns=None)


def test_busy_is_what_is_neither_idle_nor_counted_twice() -> None:
    assert BUSY_NS == parse_busy_ns(STAT)


@pytest.mark.parametrize("text", ["", "\n", "cpu", "cpu  1 2 3", "cpu  1 2 3 4 5 6 7 x", "intr 1 2 3 4 5 6 7 8 9"])
def test_a_stat_that_makes_no_sense_is_unknown(text: str) -> None:
    assert parse_busy_ns(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (V1, Throttled(5 * MS, 3)),
        (V2, Throttled(7 * MS, 1)),
        (V2_WITHOUT_QUOTA, Throttled(0, 0)),
        ("", None),
        ("throttled_usec x\nnr_throttled 1\n", None),
        ("throttled_usec 1\n", None),
        ("junk\n", None),
    ],
)
def test_throttled_time_of_either_cgroup_version(text: str, expected: Throttled | None) -> None:
    assert expected == parse_throttled(text)


@pytest.mark.parametrize(
    ("name", "text", "expected_ns"),
    [
        ("cpu.cfs_period_us", "20000\n", 20 * MS),
        ("cpu.max", "max 100000\n", 100 * MS),
        ("cpu.max", "junk\n", 0),
        ("nothing", "", 0),
    ],
)
def test_the_longest_period_of_the_groups(tmp_path: Path, name: str, text: str, expected_ns: int) -> None:
    (tmp_path / name).write_text(text)
    groups = Groups((str(tmp_path / "cpu.stat"), str(tmp_path / "gone" / "cpu.stat")), complete=True)

    assert expected_ns == read_period_ns(groups)


def test_every_group_from_ours_to_the_root_can_throttle_us(tmp_path: Path) -> None:
    groups = {"cpu/a": V1, "cpu/a/b": V1}
    found = find_groups(*tree(tmp_path, "4:memory:/x\n1:cpu,cpuacct:/a/b\n0::/\n", groups, ("cpu/release_agent",)))

    assert (Throttled(10 * MS, 6), True) == (read_throttled(found), found.complete)


def test_the_same_with_cgroup_v2(tmp_path: Path) -> None:
    groups = {"a": V2, "a/b": V2_WITHOUT_QUOTA}
    found = find_groups(*tree(tmp_path, "0::/a/b\n", groups, ("cgroup.controllers",)))

    assert (Throttled(7 * MS, 1), True) == (read_throttled(found), found.complete)


def test_in_the_root_group_nobody_throttles(tmp_path: Path) -> None:
    found = find_groups(*tree(tmp_path, "1:cpu:/\n", {"cpu": V1}, ("cpu/release_agent",)))

    assert Groups((), complete=True) == found


@pytest.mark.parametrize(
    ("own", "groups", "marks", "known_ns"),
    [
        ("1:cpu:/\n", {"cpu": V1}, (), 5 * MS),  # a cgroup namespace: what is above cannot be seen
        ("0::/\n", {"": V2}, ("cgroup.controllers", "cgroup.events"), 7 * MS),  # the same with v2
        ("1:cpu:/a\n", {}, ("cpu/release_agent",), 0),  # no cpu.stat
        ("1:cpu:/a/b\n", {"cpu/a": V1, "cpu/a/b": "junk\n"}, ("cpu/release_agent",), 5 * MS),
        ("0::/\n", {}, (), 0),  # no cgroup file system
        ("", {}, (), 0),
        ("3:pids:/\n", {}, (), 0),
    ],
)
def test_what_cannot_be_seen_may_throttle_us(
    tmp_path: Path, own: str, groups: dict[str, str], marks: tuple[str, ...], known_ns: int
) -> None:
    found = find_groups(*tree(tmp_path, own, groups, marks))

    assert (known_ns, False) == (read_throttled(found).time_ns, found.complete)


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "none")

    assert Groups((), complete=False) == find_groups(nowhere, nowhere)
    assert read_busy_ns(nowhere) is None
