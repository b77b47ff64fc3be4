"""Real processes that are stopped, starved and throttled: only the first of these is a freeze."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import afterglow
from afterglow.clocks import Checkpoint, Clocks
from afterglow.poller import BRIEF_NS, Poller
from afterglow.starved import Throttled

CHILD = Path(__file__).with_name("polling_child.py")
MS = 1_000_000
HELD_S = 0.4
LIMIT_S = 60
QUOTA_US, PERIOD_US = 2_000, 20_000


class Frozen(NamedTuple):
    """What the child took for a freeze, in ns of CLOCK_MONOTONIC, which is one clock for all processes."""

    from_ns: int
    to_ns: int
    frozen_ns: int


class Child:
    """A process under a Poller, ready for what is to come over it."""

    def __init__(self, what: str, how_long_ms: float, launcher: list[str]) -> None:
        command = [*launcher, sys.executable, str(CHILD), what, str(how_long_ms)]
        environ = {"PYTHONPATH": str(Path(afterglow.__file__).parents[1])}
        self.process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert "ready\n" == self.process.stdout.readline()

    def hold(self) -> tuple[int, int]:
        """Stop it for HELD_S, as a freeze does; return when it stood still at the latest, and when it went on."""
        os.kill(self.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)
        stopped_ns = time.monotonic_ns()
        time.sleep(HELD_S)
        continued_ns = time.monotonic_ns()
        os.kill(self.process.pid, signal.SIGCONT)
        return stopped_ns, continued_ns

    def windows(self) -> list[Frozen]:
        """Wait for its end; return what it has seen."""
        out, _ = self.process.communicate(timeout=LIMIT_S)
        assert 0 == self.process.returncode
        return [Frozen(*window) for window in json.loads(out)]


Start = Callable[..., Child]


@pytest.fixture
def start() -> Iterator[Start]:
    """Give `start(what, how_long_ms, launcher=[])`."""
    children: list[Child] = []

    def begin(what: str, how_long_ms: float, launcher: list[str] | None = None) -> Child:
        children.append(Child(what, how_long_ms, launcher or []))
        return children[-1]

    yield begin
    for child in children:
        child.process.kill()
        child.process.wait()


@pytest.mark.parametrize("what", ["wait", "work"])
def test_a_freeze_is_as_long_as_it_was_and_ends_at_the_thaw_however_long_the_work_goes_on(
    what: str, start: Start
) -> None:
    child = start(what, 1000)
    stopped_ns, continued_ns = child.hold()
    windows = child.windows()

    assert 1 == len(windows), windows
    assert continued_ns - stopped_ns <= windows[0].frozen_ns + 5 * MS, windows
    assert windows[0].from_ns <= stopped_ns, windows
    assert abs(windows[0].to_ns - continued_ns) < 200 * MS, "the work went on for a second"


@pytest.fixture
def burning_core() -> Iterator[list[str]]:
    """Give a launcher that puts a process on one core, with two that burn it and come before."""
    core = min(os.sched_getaffinity(0))
    burner = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, [{core}])\nwhile True: pass"]
    burners = [subprocess.Popen(burner) for _ in range(2)]
    yield ["nice", "-n", "10", "taskset", "-c", str(core)]
    for each in burners:
        each.kill()
        each.wait()


def test_a_process_that_starves_is_not_frozen(burning_core: list[str], start: Start) -> None:
    child = start("work", 60, launcher=burning_core)

    assert [] == child.windows()


@pytest.fixture
def throttled() -> Iterator[list[str]]:
    """Give a launcher that puts a process into a cgroup with a tenth of a core; skip where none can be made."""
    limits = {
        "/sys/fs/cgroup/cpu": {"cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": str(QUOTA_US)},
        "/sys/fs/cgroup": {"cpu.max": f"{QUOTA_US} {PERIOD_US}"},
    }
    for root, files in limits.items():
        group = Path(root, f"afterglow-test-{os.getpid()}-{time.monotonic_ns()}")
        with contextlib.suppress(OSError):
            group.mkdir()
            for name, value in files.items():
                (group / name).write_text(value)
            yield ["/bin/sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "join"]
            _remove(group)
            return
        with contextlib.suppress(OSError):
            group.rmdir()
    pytest.skip("no cgroup that limits CPU can be made here")


def _remove(group: Path) -> None:
    """The kernel lets go of a group once its last process has been reaped."""
    give_up = time.monotonic() + 5
    while group.exists() and time.monotonic() < give_up:
        with contextlib.suppress(OSError):
            group.rmdir()
        time.sleep(0.01)


def test_a_process_that_its_quota_holds_back_is_not_frozen(throttled: list[str], start: Start) -> None:
    child = start("work", 60, launcher=throttled)

    assert [] == child.windows()


def test_a_freeze_of_a_process_whose_quota_holds_it_back_is_as_long_as_it_was(
    throttled: list[str], start: Start
) -> None:
    child = start("work", 40, launcher=throttled)
    stopped_ns, continued_ns = child.hold()
    windows = child.windows()

    held_ms = (continued_ns - stopped_ns) / MS
    frozen_ms = sum(window.frozen_ns for window in windows) / MS
    assert held_ms - 5 <= frozen_ms <= held_ms + 2 * PERIOD_US / 1000, windows


def test_a_freeze_that_came_over_boot_is_told_by_the_clocks_that_it_took_down() -> None:
    """Two of them, with an invocation between: without these clocks they would be one long stretch."""
    raw = [(1100 * MS, 5 * MS, b"5000000 9000000 7\n"), (1630 * MS, 10 * MS, b"junk"), (2140 * MS, 15 * MS, b"")]
    now = Checkpoint(2150 * MS, 20 * MS, 12 * MS, Throttled(900 * MS, 70))
    poller = Poller(1080 * MS, 0, Script([now, now], [None]))
    poller.adopt(raw)

    assert [(1100, 1630, 525), (1630, 2140, 505)] == [
        (window.from_ns // MS, window.to_ns // MS, window.frozen_ns // MS) for window in poller.frozen.windows
    ]


def test_a_descriptor_that_is_closed_is_not_waited_for() -> None:
    """After `Connection: close`, while AFTERGLOW_FLUSH=end holds /next back, there is no connection."""
    ours, others = socket.socketpair()
    with others:
        others.send(b"x")
        open_one = ours.fileno()
        gone = socket.socket()
        gone.close()
        ready = Poller(time.monotonic_ns(), 0).wait([gone.fileno(), open_one], 1000)
    ours.close()

    assert {open_one} == ready


class Script(Clocks):
    """Clocks that say what a test has written down."""

    def __init__(self, readings: list[Checkpoint], busy_ns: list[int | None]) -> None:
        super().__init__()
        self.readings = readings
        self.busy_ns = busy_ns

    def read(self) -> Checkpoint:
        return self.readings.pop(0)

    def read_busy_ns(self) -> int | None:
        return self.busy_ns.pop(0)


class Counted(Clocks):
    """Real clocks that count how often they are read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def read(self) -> Checkpoint:
        self.reads += 1
        return super().read()


def reads_of_a_turn(began_ago_ns: int) -> int:
    """Return how often a turn that began so long ago reads the clocks at its end, however busy the machine is."""
    clocks = Counted()
    poller = Poller(time.monotonic_ns(), 0, clocks)
    poller.wait([], 0)
    while True:
        before = clocks.reads
        now_ns = time.monotonic_ns()
        poller.last = poller.last._replace(mono_ns=now_ns - began_ago_ns)
        poller.look_back()
        if time.monotonic_ns() - now_ns < BRIEF_NS // 2:
            return clocks.reads - before


@pytest.mark.parametrize(("began_ago_ns", "expected"), [(0, 0), (2 * BRIEF_NS, 1)], ids=["soon over", "longer"])
def test_a_turn_reads_the_clocks_at_its_end_only_if_it_took_long_enough_to_hide_something(
    began_ago_ns: int, expected: int
) -> None:
    assert expected == reads_of_a_turn(began_ago_ns)


@pytest.mark.parametrize(
    ("others_ms", "expected_ms"),
    [(0, [501]), (20, [481]), (500, []), (470, []), (None, [])],
    ids=["nobody ran", "somebody ran a little", "somebody ran", "ticks are coarse", "nobody can tell"],
)
def test_a_freeze_that_comes_over_us_in_the_queue_for_a_cpu(others_ms: int | None, expected_ms: list[int]) -> None:
    """The kernel counts the freeze as waiting for a CPU; but then, nobody had it."""
    readings = [Checkpoint(100 * MS, 0, 0), Checkpoint(601 * MS, 0, 500 * MS)]
    poller = Poller(99 * MS, 0, Script(readings, [7 * MS, None if others_ms is None else (7 + others_ms) * MS]))
    poller.wait([], 1)

    assert expected_ms == [window.frozen_ns // MS for window in poller.frozen.windows]
