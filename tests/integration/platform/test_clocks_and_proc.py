"""What the kernel may say: clocks that jump, pids that are used again, files that are gone, forbidden or nonsense."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from afterglow import proc
from afterglow.freeze import FrozenTime
from afterglow.lingering import Lingering
from afterglow.recorder import Boot, Clock, Recorder
from afterglow.sampler import HighWater, Sampler
from afterglow.watch import watch_processes

SECOND_NS = 1_000_000_000
STAT = "{pid} (a (strange) name) S {ppid} 1 1 0 -1 0 0 0 0 0 5 7 0 0 20 0 3 0 {start} 1000 200 0 0 0\n"
NONSENSE = ["", "\n", "7", "7 (x", "7 (x) S", "x (y) S " + "1 " * 30, "7 (x) S " + "q " * 30, "\x00\xff" * 50, ")("]


def write_stat(root: Path, pid: int, *, ppid: int = 1, start: int = 100) -> None:
    folder = root / str(pid)
    folder.mkdir(exist_ok=True)
    (folder / "stat").write_text(STAT.format(pid=pid, ppid=ppid, start=start))


@pytest.mark.parametrize("text", NONSENSE)
def test_a_stat_that_makes_no_sense_is_no_process(tmp_path: Path, text: str) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text(text, errors="surrogateescape")

    assert proc.read_stat(7, str(tmp_path)) is None
    assert {} == proc.read_all(str(tmp_path))


def test_what_cannot_be_read_is_unknown_and_never_0(tmp_path: Path) -> None:
    root = str(tmp_path / "no-proc-at-all")
    look = Sampler(10, 250, root).look(7)

    assert (None, None, None) == (look.rss_bytes, look.cpu_ms, look.fds)
    high_water = HighWater(root)
    assert (None, False) == (high_water.read_bytes(7), high_water.restart(7))
    assert (None, None) == (proc.read_fd_count(7, root), proc.read_run_delay_ms(root))
    assert proc.read_oom_kills(root, root) is None
    assert proc.read_tmp_used_bytes(root) is None


def test_a_process_that_leaves_between_two_looks_leaves_the_tree(tmp_path: Path) -> None:
    write_stat(tmp_path, 7)
    write_stat(tmp_path, 8, ppid=7)
    sampler = Sampler(10, 250, str(tmp_path))
    both = sampler.look(7)
    (tmp_path / "8" / "stat").unlink()
    one = sampler.look(7)

    assert [[7, 8], [7]] == [[stat.pid for stat in look.tree] for look in (both, one)]


def test_a_pid_that_is_used_again_is_another_process(tmp_path: Path) -> None:
    lingering = Lingering("env", FrozenTime(), lambda _: None)
    lingering.began("request", 1, 0)
    lingering.announce(7, _process(work=1, pid=70, at_ns=time.monotonic_ns()))
    write_stat(tmp_path, 70, start=100)
    watch_processes(lingering, SECOND_NS, str(tmp_path))
    before = lingering.open_pids()
    write_stat(tmp_path, 70, start=900)
    watch_processes(lingering, 2 * SECOND_NS, str(tmp_path))

    assert ([((7, 1), 70)], []) == (before, lingering.open_pids())


def test_a_pid_that_is_used_again_before_the_first_look_is_another_process(tmp_path: Path) -> None:
    lingering = Lingering("env", FrozenTime(), lambda _: None)
    lingering.began("request", 1, 0)
    lingering.announce(7, _process(work=1, pid=70, at_ns=time.monotonic_ns() - SECOND_NS))
    write_stat(tmp_path, 70, start=int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")))
    watch_processes(lingering, time.monotonic_ns(), str(tmp_path))

    assert [] == lingering.open_pids()


def _process(*, work: int, pid: int, at_ns: int) -> dict[str, Any]:
    return {
        "w": work,
        "what": "process",
        "name": "sleep",
        "site": [],
        "id": "request",
        "n": 1,
        "state": "running",
        "at": at_ns,
        "jobs": 1,
        "worker": None,
        "burned": None,
        "pid": pid,
    }


@pytest.mark.parametrize("jump_ms", [-3_600_000.0, 0.0, 3_600_000.0])
def test_a_wall_clock_that_jumps_moves_no_duration(jump_ms: float) -> None:
    """Durations are of the monotonic clock; the time of day is read once, when the record is told."""
    recorder = Recorder(Boot(0, 0, 0), FrozenTime())
    recorder.hello = {"took": 0, "at": 0, "cpu": 0}
    recorder.begin("request", 5 * SECOND_NS, 0.0)
    returned = {
        "id": "request",
        "from": 5 * SECOND_NS,
        "at": 6 * SECOND_NS,
        "user": 0.5,
        "system": 0.0,
        "own": 0,
        "error": None,
    }
    recorder.returned(returned)
    ((invocation, _),) = recorder.tell(Clock(7 * SECOND_NS, 1e12 + jump_ms), 0.0, before=2)

    assert (1000.0, 500.0, 0.0) == (invocation.duration_ms, invocation.wait_ms, invocation.frozen_before_ms)
    assert 1e12 + jump_ms - 2000 == invocation.at_ms
