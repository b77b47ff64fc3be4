"""Who owns the memory: PSS of real processes, some of which have left, and where the kernel tells less."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from afterglow.footprint import LONGEST_SMAPS_BYTES, read_footprint, read_pss_bytes, sum_pss_bytes

WAIT = "import subprocess, sys; child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True); child.wait()"


@pytest.fixture
def function() -> Iterator[subprocess.Popen[str]]:
    """A process with a child, as a function's runtime may have one."""
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", WAIT], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        child = int(process.stdout.readline())
        yield process
        process.kill()
        psutil.Process(child).kill()


def test_the_functions_whole_tree_is_counted(function: subprocess.Popen[str]) -> None:
    footprint = read_footprint(function.pid, 7)

    assert footprint.at_ms == 7
    assert footprint.processes >= 3
    assert footprint.function_pss_bytes is not None
    assert footprint.agent_pss_bytes is not None
    assert footprint.function_pss_bytes > 1 << 20


@pytest.mark.parametrize("pid", [None, 1 << 22])
def test_without_a_runtime_its_memory_is_unknown(pid: int | None) -> None:
    footprint = read_footprint(pid, 7)

    assert footprint.function_pss_bytes is None
    assert footprint.agent_pss_bytes is not None


def test_it_is_what_psutil_reads(function: subprocess.Popen[str]) -> None:
    said = read_pss_bytes(function.pid)

    assert said == pytest.approx(psutil.Process(function.pid).memory_full_info().pss, rel=0.1)


def test_a_process_that_has_left_meanwhile_is_passed_over() -> None:
    with subprocess.Popen(["/bin/true"]) as gone:
        pass

    assert read_pss_bytes(gone.pid) == 0


def test_a_process_that_nobody_has_waited_for_is_passed_over() -> None:
    with subprocess.Popen(["/bin/true"]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)

        assert read_pss_bytes(zombie.pid) == 0


@pytest.mark.parametrize("text", ["", "Rss: 5 kB\n", "\nPss: many kB\n"], ids=["empty", "no PSS", "no number"])
def test_what_cannot_be_understood_is_unknown(tmp_path: Path, text: str) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "smaps_rollup").write_text(text)

    assert read_pss_bytes(7, str(tmp_path)) is None


# -- a kernel without smaps_rollup: Linux before 4.14, and sandboxes that show less of /proc ------------------------


def without_rollup(root: Path, pid: int) -> str:
    """Give a root of proc in which the process has its long smaps, the living file, and no smaps_rollup."""
    (root / str(pid)).mkdir()
    (root / str(pid) / "smaps").symlink_to(f"/proc/{pid}/smaps")
    return str(root)


def written(root: Path, smaps: str) -> int | None:
    (root / "7").mkdir()
    (root / "7" / "smaps").write_text(smaps)
    return read_pss_bytes(7, str(root))


def test_the_long_file_comes_to_what_psutil_makes_of_it(function: subprocess.Popen[str], tmp_path: Path) -> None:
    regions = psutil.Process(function.pid).memory_maps(grouped=False)

    assert len(regions) > 20
    said = read_pss_bytes(function.pid, without_rollup(tmp_path, function.pid))
    assert said == pytest.approx(sum(region.pss for region in regions), rel=0.1)


def test_the_long_file_comes_to_what_the_short_one_says(function: subprocess.Popen[str], tmp_path: Path) -> None:
    said = read_pss_bytes(function.pid, without_rollup(tmp_path, function.pid))

    assert said == pytest.approx(read_pss_bytes(function.pid), rel=0.1)


def test_the_whole_footprint_can_be_had_of_the_long_files(function: subprocess.Popen[str], tmp_path: Path) -> None:
    for pid in (os.getpid(), function.pid):
        without_rollup(tmp_path, pid)
        (tmp_path / str(pid) / "stat").symlink_to(f"/proc/{pid}/stat")
    footprint = read_footprint(function.pid, 7, str(tmp_path))

    assert footprint.function_pss_bytes == pytest.approx(read_pss_bytes(function.pid), rel=0.1)
    assert footprint.agent_pss_bytes == pytest.approx(read_pss_bytes(os.getpid()), rel=0.1)


def test_without_the_short_file_who_has_left_is_passed_over_too(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/true"]) as gone:
        os.waitid(os.P_PID, gone.pid, os.WEXITED | os.WNOWAIT)
        root = without_rollup(tmp_path, gone.pid)

        assert read_pss_bytes(gone.pid, root) == 0  # nobody has waited for it
    assert read_pss_bytes(gone.pid, root) == 0


REGION = """\
7f00-7f10 r--p 00000000 fe:00 {number:<12} /usr/lib/Pss: 9 kB
Size:                 64 kB
Rss:                  60 kB
Pss:                   3 kB
Pss_Dirty:             2 kB
SwapPss:               1 kB
VmFlags: rd mr mw me
"""


@pytest.mark.parametrize("count", [1, 2, 300, 1_000])
def test_each_region_counts_once_wherever_a_piece_of_the_file_ends(tmp_path: Path, count: int) -> None:
    """Each of the lengths puts the cuts between the pieces elsewhere in a region."""
    regions = "".join(REGION.format(number=number) for number in range(count))

    assert 3 * 1024 * count == written(tmp_path, regions)


@pytest.mark.parametrize("piece_bytes", range(1, 40))
def test_no_cut_through_a_figure_changes_it(piece_bytes: int) -> None:
    class Cut(io.BytesIO):
        def read(self, _: int | None = -1) -> bytes:
            return super().read(piece_bytes)

    assert 6 * 1024 == sum_pss_bytes(Cut(2 * REGION.format(number=1).encode()))


@pytest.mark.parametrize("smaps", ["Rss: 5 kB\n", "Pss: many kB\n", "Pss:\n", f"{REGION}Pss: kB\n"])
def test_a_long_file_that_cannot_be_understood_is_unknown(tmp_path: Path, smaps: str) -> None:
    assert written(tmp_path, smaps) is None


def test_a_long_file_that_would_take_too_long_is_unknown_and_no_part_of_it_is_told(tmp_path: Path) -> None:
    assert written(tmp_path, REGION.format(number=1) * (1 + LONGEST_SMAPS_BYTES // len(REGION))) is None


def test_what_may_not_be_read_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "7" / "smaps").mkdir(parents=True)  # Whoever may read everything cannot read a folder.

    assert read_pss_bytes(7, str(tmp_path)) is None


def test_another_extension_is_known_by_where_it_lies(tmp_path: Path) -> None:
    for pid, command in ((1, "init"), (7, "python3\0handler.py\0"), (8, "/opt/extensions/other\0--quiet\0")):
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "stat").write_text(f"{pid} (x) S 1 " + "0 " * 30)
        (folder / "cmdline").write_text(command)
        (folder / "smaps_rollup").write_text(f"0-1 ---p 0 00:00 0 [rollup]\nRss: 9 kB\nPss: {pid} kB\n")
    footprint = read_footprint(7, 0, str(tmp_path))

    assert (7 * 1024, 8 * 1024, 3) == (
        footprint.function_pss_bytes,
        footprint.others_pss_bytes,
        footprint.processes,
    )
