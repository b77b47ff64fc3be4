"""Readers of /proc, on checked-in trees: a living one, one whose pid has a new owner, and files cut short."""

import os
import subprocess
from pathlib import Path

import pytest

from afterglow import proc

DATA = Path(__file__).parents[2] / "data" / "proc"
LIVING, REUSED, MALFORMED = (str(DATA / name) for name in ("living", "reused", "malformed"))
TICK_MS = proc.CLOCK_TICK_MS
PAGE = proc.PAGE_BYTES


def test_stat_tells_state_parent_cpu_threads_start_and_memory() -> None:
    expected = proc.ProcStat(42, "S", 1, 10 * TICK_MS, 5 * TICK_MS, 3, 1000 * TICK_MS, 2560 * PAGE)

    assert expected == proc.read_stat(42, LIVING)


def test_a_command_may_hold_blanks_and_brackets() -> None:
    stat = proc.read_stat(7, MALFORMED)

    assert stat is not None
    assert (7, "S", 1) == (stat.pid, stat.state, stat.ppid)


@pytest.mark.parametrize("pid", [1, 2, 3, 4, 5, 6, 8, 11], ids=lambda pid: f"malformed/{pid}")
def test_a_malformed_stat_is_unknown(pid: int) -> None:
    assert proc.read_stat(pid, MALFORMED) is None


def test_a_process_that_has_left_is_unknown() -> None:
    assert proc.read_stat(4242, LIVING) is None
    assert proc.read_fd_count(4242, LIVING) is None


def test_everyone_is_everyone_who_can_be_read() -> None:
    assert {1, 42, 43, 44, 45, 50} == set(proc.read_all(LIVING))
    assert {7} == set(proc.read_all(MALFORMED))


def test_a_proc_that_is_not_there_has_nobody() -> None:
    assert {} == proc.read_all(str(DATA / "nowhere"))


def test_the_tree_holds_the_root_first_then_its_living_descendants() -> None:
    tree = proc.tree_of(42, proc.read_all(LIVING))

    assert [42, 43, 44] == [stat.pid for stat in tree]


def test_a_zombie_is_no_part_of_the_tree() -> None:
    assert 45 not in [stat.pid for stat in proc.tree_of(42, proc.read_all(LIVING))]


def test_the_tree_of_a_root_that_has_left_is_empty() -> None:
    assert [] == proc.tree_of(4242, proc.read_all(LIVING))


@pytest.mark.parametrize("root", [42, 43])
def test_a_tree_that_bites_its_own_tail_still_ends(root: int) -> None:
    """Pids are read one after the other, so a parent can have become its own grandchild meanwhile."""
    everyone = proc.read_all(LIVING)
    everyone[42] = everyone[42]._replace(ppid=44)

    assert {42, 43, 44} == {stat.pid for stat in proc.tree_of(root, everyone)}


def test_a_pid_that_has_a_new_owner_has_a_new_start() -> None:
    before, after = proc.read_stat(42, LIVING), proc.read_stat(42, REUSED)

    assert before is not None
    assert after is not None
    assert 8000 * TICK_MS == after.start_ms - before.start_ms


def test_the_new_owner_of_a_pid_does_not_inherit_the_children() -> None:
    everyone = {**proc.read_all(LIVING), **proc.read_all(REUSED)}
    del everyone[43], everyone[44], everyone[45]

    assert [everyone[42]] == proc.tree_of(42, everyone)


def test_open_files_are_counted() -> None:
    assert 5 == proc.read_fd_count(42, LIVING)


def test_the_run_delay_is_the_second_number_of_schedstat() -> None:
    assert 5.5 == proc.read_run_delay_ms(LIVING)


@pytest.mark.parametrize("root", [MALFORMED, str(DATA / "nowhere")])
def test_a_run_delay_that_nobody_tells_is_unknown(root: str) -> None:
    assert proc.read_run_delay_ms(root) is None


def test_what_tmp_holds_is_unknown_where_there_is_none() -> None:
    assert proc.read_tmp_used_bytes(str(DATA / "nowhere")) is None


def test_what_tmp_holds_grows_with_a_file(tmp_path: Path) -> None:
    used = proc.read_tmp_used_bytes(str(tmp_path))

    assert used is not None
    assert 0 < used < os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize


def test_the_real_proc_knows_this_process() -> None:
    stat = proc.read_stat(os.getpid())

    assert stat is not None
    assert (os.getpid(), os.getppid()) == (stat.pid, stat.ppid)
    assert stat.rss_bytes > 0
    assert stat.pid in proc.read_all()


def test_a_process_between_its_end_and_its_parents_wait_is_dead() -> None:
    with subprocess.Popen(["/bin/true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        stat = proc.read_stat(child.pid)

        assert stat is not None
        assert stat.state in proc.DEAD_STATES
        assert [] == proc.tree_of(child.pid, {child.pid: stat})
    assert proc.read_stat(child.pid) is None


def test_where_the_kernel_counts_descriptors_it_counts_as_a_listing_does() -> None:
    if not proc.tells_fd_count():
        pytest.skip("Linux before 6.2: /proc/PID/fd has no size")
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        listed, told = proc.read_fd_count(child.pid), proc.read_fd_count(child.pid, in_size=True)
        child.communicate()

    assert listed == told


def test_a_folder_of_another_file_system_does_not_tell_descriptors_by_its_size() -> None:
    assert not proc.tells_fd_count(LIVING)


def test_ones_own_rss_is_the_second_number_of_statm() -> None:
    assert 300 * PAGE == proc.parse_rss_bytes("1000 300 20 1 0 100 0\n")
    assert [None, None] == [proc.parse_rss_bytes(text) for text in ("", "1000 x")]
