"""The sampler: how often it looks, what it sees of the fixture tree, and what it keeps."""

import os
from pathlib import Path

import pytest

from afterglow.proc import CLOCK_TICK_MS, PAGE_BYTES
from afterglow.sampler import MANY_PROCESSES, Sampler, next_interval_ms

LIVING = str(Path(__file__).parents[2] / "data" / "proc" / "living")
MB = 1 << 20


@pytest.mark.parametrize(
    ("interval_ms", "before", "now", "expected_ms"),
    [
        (100, 50 * MB, 50 * MB, 140),  # calm: slower
        (100, 50 * MB, 51 * MB, 140),  # 2 % is calm
        (100, 50 * MB, 60 * MB, 50),  # it grows: quicker
        (100, 60 * MB, 50 * MB, 50),  # it shrinks: quicker
        (12, 50 * MB, 60 * MB, 10),  # never quicker than the first
        (240, 50 * MB, 50 * MB, 250),  # never slower than the last
        (100, None, 50 * MB, 140),  # nothing to compare with
        (100, 50 * MB, None, 140),
    ],
)
def test_the_interval_follows_the_memory(
    interval_ms: float, before: int | None, now: int | None, expected_ms: float
) -> None:
    assert expected_ms == pytest.approx(next_interval_ms(interval_ms, before, now, first_ms=10, most_ms=250))


def test_a_look_sums_the_runtimes_tree_and_nobody_else() -> None:
    look = Sampler(10, 250, LIVING).look(42)

    assert [42, 43, 44] == [stat.pid for stat in look.tree]
    assert (2560 + 1280 + 640) * PAGE_BYTES == look.rss_bytes
    assert (15 + 100 + 2) * CLOCK_TICK_MS == look.cpu_ms
    assert 5 == look.fds


@pytest.mark.parametrize("pid", [None, 4242])
def test_a_look_without_a_runtime_knows_nothing_rather_than_zero(pid: int | None) -> None:
    look = Sampler(10, 250, LIVING).look(pid)

    assert (None, None, None) == (look.rss_bytes, look.cpu_ms, look.fds)


def test_a_look_at_the_real_proc_sees_ourselves() -> None:
    look = Sampler(10, 250).look(os.getpid())

    assert os.getpid() == look.tree[0].pid
    assert look.rss_bytes is not None
    assert look.rss_bytes > 0
    assert look.fds is not None
    assert 3 <= look.fds <= len(os.listdir("/proc/self/fd"))


def test_the_highest_of_an_invocation_is_kept_until_the_next_begins(tmp_path: Path) -> None:
    sampler = Sampler(10, 250, str(tmp_path))
    for pages in (100, 300, 200):
        write_stat(tmp_path, 42, pages)
        sampler.look(42)
    highest = sampler.peak_rss_bytes
    sampler.start()

    assert 300 * PAGE_BYTES == highest
    assert sampler.peak_rss_bytes is None


def test_looks_slow_down_while_nothing_changes_and_start_over_with_an_invocation() -> None:
    sampler = Sampler(10, 250, LIVING)
    for _ in range(20):
        sampler.look(42)
    slowest_ms = sampler.interval_ms
    sampler.start()

    assert 250 == slowest_ms
    assert 10 == sampler.interval_ms


def test_among_many_processes_only_the_slowest_rate_is_decent(tmp_path: Path) -> None:
    for pid in range(1, MANY_PROCESSES + 2):
        write_stat(tmp_path, pid, 100)
    sampler = Sampler(10, 250, str(tmp_path))
    sampler.look(1)
    for pid in range(1, MANY_PROCESSES + 2):
        write_stat(tmp_path, pid, 200)
    sampler.look(1)

    assert 250 == sampler.interval_ms


def test_a_look_at_a_zombie_knows_nothing_rather_than_zero(tmp_path: Path) -> None:
    sampler = Sampler(10, 250, str(tmp_path))
    write_stat(tmp_path, 42, 0, state="Z")
    look = sampler.look(42)

    assert (None, None, None) == (look.rss_bytes, look.cpu_ms, look.fds)
    assert sampler.peak_rss_bytes is None


def write_stat(proc: Path, pid: int, pages: int, state: str = "S") -> None:
    fields = [state, "0", *["1"] * 9, "0", "0", "0", "0", "20", "0", "1", "0", "1", "1", str(pages)]
    (proc / str(pid)).mkdir(exist_ok=True)
    (proc / str(pid) / "stat").write_text(f"{pid} (python3) {' '.join(fields)} 0 0")
