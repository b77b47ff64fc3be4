"""Files that stay open: what the kernel says of the moment, of the process they were opened for and no other."""

import os
import subprocess
from pathlib import Path

import pytest

from afterglow.kept import KeptFile
from afterglow.sampler import HighWater

DATA = Path(__file__).parents[2] / "data" / "proc"
LIVING, MALFORMED = (str(DATA / name) for name in ("living", "malformed"))


def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "loadavg"
    path.write_text("1")
    kept = KeptFile(str(path))
    first = kept.read()
    path.write_text("22")

    assert ("1", "22") == (first, kept.read())
    kept.close()


def test_a_file_that_is_not_there_yet_is_looked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "loadavg"
    kept = KeptFile(str(path))
    first = kept.read()
    path.write_text("1")

    assert (None, "1") == (first, kept.read())
    kept.close()


def test_a_file_can_be_closed_twice_and_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "loadavg"
    path.write_text("1")
    kept = KeptFile(str(path))
    kept.read()
    kept.close()
    kept.close()

    assert "1" == kept.read()
    kept.close()


def test_a_process_that_has_ended_says_nothing_more() -> None:
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as child:
        kept = KeptFile(f"/proc/{child.pid}/stat")
        alive = kept.read()
        child.communicate()

    assert alive is not None
    assert kept.read() is None
    kept.close()


def test_the_highest_rss_is_the_kernels_high_water_mark() -> None:
    assert 20_480 * 1024 == HighWater(LIVING).read_bytes(42)


@pytest.mark.parametrize("pid", [7, 8, 9, 10], ids=lambda pid: f"malformed/{pid}")
def test_a_high_water_mark_that_is_no_number_is_unknown(pid: int) -> None:
    assert HighWater(MALFORMED).read_bytes(pid) is None


def test_a_high_water_mark_of_nobody_is_unknown_and_cannot_start_anew() -> None:
    high_water = HighWater(LIVING)

    assert (None, False) == (high_water.read_bytes(4242), high_water.restart(4242))


def test_the_high_water_mark_starts_anew() -> None:
    take = "import sys; x = bytearray(64 << 20); del x; print(flush=True); sys.stdin.read()"
    command = ["python3", "-I", "-S", "-c", take]
    high_water = HighWater()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        before = high_water.read_bytes(child.pid)
        if not high_water.restart(child.pid):
            child.communicate()
            pytest.skip("clear_refs may not be written here")
        after = high_water.read_bytes(child.pid)
        child.communicate()

    assert before is not None
    assert after is not None
    assert before - after > 32 << 20


def test_of_several_processes_each_has_its_own_mark_and_two_files_stay_open() -> None:
    high_water = HighWater()
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as child:
        marks = {pid: high_water.read_bytes(pid) for pid in (os.getpid(), child.pid)}
        open_before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            marks |= {pid: high_water.read_bytes(pid) for pid in (os.getpid(), child.pid)}
        open_after = len(os.listdir("/proc/self/fd"))
        child.communicate()

    assert open_before == open_after
    assert (marks[os.getpid()] or 0) > (marks[child.pid] or 0) > 0, marks
