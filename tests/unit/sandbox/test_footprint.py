"""Who owns the memory: PSS of real processes, some of which have left, and where the kernel tells less."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from afterglow.footprint import read_footprint, read_pss_bytes

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


def test_psutil_is_not_imported_for_it() -> None:
    """Its import took 12 ms of one of the first invocations."""
    program = "import sys; from afterglow.footprint import read_footprint as read; read(1, 7); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "psutil" not in done.stdout.split()


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


def test_a_kernel_without_the_short_file_is_asked_for_the_long_one(
    function: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux before 4.14, and sandboxes that show less of /proc."""
    monkeypatch.setattr(
        psutil, "PROCFS_PATH", "/proc"
    )  # the reader points psutil at its own root; undone after the test
    real, copy = Path("/proc", str(function.pid)), tmp_path / str(function.pid)
    copy.mkdir()
    for name in ("stat", "status", "statm", "smaps"):
        (copy / name).write_text((real / name).read_text())
    shutil.copyfile("/proc/stat", tmp_path / "stat")

    assert read_pss_bytes(function.pid, str(tmp_path)) == pytest.approx(read_pss_bytes(function.pid), rel=0.1)


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
