"""The function's tree of processes: never short of anybody, however little is read."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from afterglow.census import Census
from afterglow.proc import parse_newest_pid

STARTS_ANOTHER = """
import subprocess, sys
for line in sys.stdin:
    child = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
    print(child.pid, flush=True)
    sys.stdin.readline()
    child.communicate()
    print("ended", flush=True)
"""


class Machine:
    """A /proc that a test writes: processes, and the pid that was given out last."""

    def __init__(self, root: Path, newest: int | None) -> None:
        self.root = root
        self.census = Census(str(root))
        self.count_to(newest)

    def count_to(self, newest: int | None) -> None:
        if newest is not None:
            (self.root / "loadavg").write_text(f"0.00 0.01 0.05 1/100 {newest}\n")

    def start(self, pid: int, ppid: int, state: str = "S") -> None:
        fields = [state, str(ppid), *["1"] * 9, "0", "0", "0", "0", "20", "0", "1", "0", "1", "1", "100"]
        (self.root / str(pid)).mkdir(exist_ok=True)
        (self.root / str(pid) / "stat").write_text(f"{pid} (python3) {' '.join(fields)} 0 0")

    def end(self, pid: int) -> None:
        (self.root / str(pid) / "stat").write_text("")  # whoever has it open
        (self.root / str(pid) / "stat").unlink()
        (self.root / str(pid)).rmdir()

    def look(self, root: int = 10) -> list[int]:
        return [stat.pid for stat in self.census.tree(root)]

    def settle(self) -> list[int]:
        """Look until nobody can be on the way any more."""
        self.look()
        return self.look()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Give a machine with an init (1), somebody else (5), and the runtime (10) with a child (11)."""
    made = Machine(tmp_path, newest=11)
    for pid, ppid in ((1, 0), (5, 1), (10, 1), (11, 10)):
        made.start(pid, ppid)
    return made


def test_while_no_pid_is_given_out_only_the_family_is_read(machine: Machine) -> None:
    first = machine.look()
    reads = [machine.census.reads]
    for _ in range(3):
        machine.look()
        reads.append(machine.census.reads)

    assert [10, 11] == first == machine.look()
    assert [4, 2, 2, 2] == reads


def test_a_new_child_is_seen_at_the_next_look_and_its_own_child_too(machine: Machine) -> None:
    machine.settle()
    machine.start(12, 11)
    machine.start(13, 12)
    machine.count_to(13)

    assert [10, 11, 12, 13] == machine.look()
    assert 4 == machine.census.reads


def test_a_process_that_shows_later_than_its_pid_is_given_out_is_seen(machine: Machine) -> None:
    """The kernel counts a pid before the process can be listed."""
    machine.settle()
    machine.count_to(12)
    early = machine.look()
    machine.start(12, 10)

    assert [10, 11] == early
    assert [10, 11, 12] == machine.look()


def test_a_new_stranger_is_read_once(machine: Machine) -> None:
    machine.settle()
    machine.start(12, 5)
    machine.count_to(12)
    seen, reads = machine.look(), machine.census.reads
    machine.look()

    assert ([10, 11], 3, 2) == (seen, reads, machine.census.reads)


def test_a_strangers_pid_can_have_a_new_owner_once_pids_begin_anew(machine: Machine) -> None:
    machine.settle()
    machine.end(5)
    machine.start(5, 10)
    machine.count_to(5)

    assert {5, 10, 11} == set(machine.look())


def test_a_child_that_ends_leaves_at_once_and_so_does_one_that_init_takes_over(machine: Machine) -> None:
    machine.start(12, 11)
    machine.count_to(12)
    machine.settle()
    machine.end(11)
    machine.start(12, 1)

    assert [10] == machine.look()


def test_a_zombie_is_no_part_of_the_tree_but_its_children_are(machine: Machine) -> None:
    """The first thread has ended, others of the process live on."""
    machine.start(12, 11)
    machine.count_to(12)
    machine.settle()
    machine.start(11, 10, state="Z")

    assert [10, 12] == machine.look()
    assert [10, 12] == machine.look()


def test_a_runtime_that_has_gone_has_no_tree_and_a_new_one_has_its_own(machine: Machine) -> None:
    machine.settle()
    machine.end(10)
    gone = machine.look()
    machine.start(20, 1)
    machine.start(21, 20)
    machine.count_to(21)

    assert [] == gone
    assert [20, 21] == machine.look(20)


def test_where_the_newest_pid_is_not_told_everybody_is_read_each_time(tmp_path: Path) -> None:
    machine = Machine(tmp_path, newest=None)
    machine.start(10, 1)
    machine.settle()
    machine.start(5, 10)

    assert [10, 5] == machine.look()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.00 0.01 0.05 1/100 4711\n", 4711),
        ("0.00 0.00 0.00 0/0 0\n", None),  # gVisor's
        ("0.00 0.01 0.05 1/100\n", None),
        ("0.00 0.01 0.05 1/100 x\n", None),
        ("", None),
    ],
)
def test_the_newest_pid_is_the_last_word_of_loadavg(text: str, expected: int | None) -> None:
    assert expected == parse_newest_pid(text)


@contextmanager
def started() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-I", "-S", "-c", STARTS_ANOTHER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.communicate()


def say(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdin
    assert process.stdout
    process.stdin.write(text + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_real_children_come_and_go() -> None:
    census = Census()
    with started() as process:
        seen, expected = [], []
        for _ in range(5):
            child = int(say(process, "start"))
            seen.append([stat.pid for stat in census.tree(process.pid)])
            expected.append([process.pid, child])
            say(process, "end")
            seen.append([stat.pid for stat in census.tree(process.pid)])
            expected.append([process.pid])

    assert expected == seen
    assert [] == census.tree(process.pid)


def test_no_descriptor_is_left_however_many_processes_there_were() -> None:
    census = Census()
    counts = []
    for _ in range(3):
        with started() as process:
            census.tree(process.pid)
            counts.append(len(os.listdir("/proc/self/fd")))

    assert 1 == len(set(counts)), counts
