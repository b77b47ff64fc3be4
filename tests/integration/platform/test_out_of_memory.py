"""Memory that runs out for real: a cgroup with a limit, and the kernel that kills."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.platform.stages import Scene, play

pytestmark = pytest.mark.usefixtures("namespaces")

LIMIT_MB = 64
RETRY_S = 0.01
OFTEN = {"AFTERGLOW_SAMPLE_MAX_MS": "10"}
"""On a machine with many processes, unlike Lambda's, the slowest rate is the only one."""

LIMITS = {
    # cgroup file system → the group's limit, its swap limit: the kernel's admin-guide, cgroup-v1/memory and cgroup-v2
    "/sys/fs/cgroup/memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    "/sys/fs/cgroup": ("memory.max", "memory.swap.max"),
}


@pytest.fixture
def limited(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Give a launcher that puts a process into a group of LIMIT_MB; skip where none can be made."""
    for root, (limit, swap) in LIMITS.items():
        group = Path(root, f"afterglow-test-{os.getpid()}-{time.monotonic_ns()}")
        with contextlib.suppress(OSError):
            group.mkdir()
            (group / limit).write_text(str(LIMIT_MB << 20))
            with contextlib.suppress(OSError):  # a kernel without swap accounting
                (group / swap).write_text("0" if swap == "memory.swap.max" else str(LIMIT_MB << 20))
            yield ["/bin/sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "join"]
            _remove(group)
            return
        with contextlib.suppress(OSError):
            group.rmdir()
    pytest.skip("no memory cgroup can be made here")


def _remove(group: Path) -> None:
    """The kernel lets go of a group once its last process has been reaped."""
    give_up = time.monotonic() + 5
    while group.exists() and time.monotonic() < give_up:
        with contextlib.suppress(OSError):
            group.rmdir()
        time.sleep(RETRY_S)


@pytest.mark.parametrize("flush", ["next", "end"])
def test_a_function_that_the_kernel_kills_ran_out_of_memory(limited: list[str], flush: str) -> None:
    settings = {"memory_mb": LIMIT_MB, "timeout_ms": 10_000, "launcher": limited}
    story = play(
        Scene(settings=settings, env={"AFTERGLOW_FLUSH": flush, **OFTEN}), [{"do": "returns"}, {"do": "eats_memory"}]
    )
    (told,) = story.told
    (ending,) = told.endings

    assert ["ok", "out-of-memory"] == told.statuses, str(told)
    assert "out-of-memory" == ending.status, str(told)
    assert (ending.oom_kills or 0) >= 1, str(told)
    assert (ending.peak_rss_bytes or 0) > LIMIT_MB << 19, str(told)
    assert any(" in eats_memory" in frame for stack in ending.stacks for frame in stack), str(told)
