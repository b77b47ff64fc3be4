"""Who owns the memory: PSS of real processes, some of which have left."""

import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from afterglow.footprint import _pss, read_footprint

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


def test_a_process_that_has_left_meanwhile_is_passed_over(function: subprocess.Popen[str]) -> None:
    with subprocess.Popen(["/bin/true"]) as gone:
        pass
    both, alone = _pss(psutil, {function.pid, gone.pid}), _pss(psutil, {function.pid})

    assert both is not None
    assert both == pytest.approx(alone, rel=0.2)
    assert _pss(psutil, {gone.pid}) is None
