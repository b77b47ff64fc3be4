"""What Lambda allots to a function of a given memory size. In: MB. Out: bytes, cores, microseconds.

Sources: Lambda developer guide, "Configure Lambda function memory" (at 1,769 MB, a function has the equivalent of one
vCPU; CPU grows in proportion), "Configure ephemeral storage" (512 MB unless configured), "Lambda execution
environment lifecycle" (Init: 10 s, with provisioned concurrency 15 minutes).
"""

from typing import NamedTuple

MB = 1024 * 1024
MB_PER_CORE = 1769
TMP_MB = 512
INIT_LIMIT_S = 10.0
PROVISIONED_INIT_LIMIT_S = 15 * 60.0

PERIOD_US = 20_000
"""Lambda's own, as its throttling shows it: a function of 128 MB gets 1.45 ms of every 20 (not documented).

The kernel's default of 100 ms would let a short function through unhindered, and stop the next one for 90 ms.
"""

LEAST_QUOTA_US = 1_000  # The kernel takes nothing smaller: sched-bwc.rst, cgroup-v2.rst.


class Allotment(NamedTuple):
    """What to hold a function to. None: not to be limited."""

    memory_mb: int | None = None
    cpu_cores: float | None = None


def cores_of(memory_mb: int) -> float:
    """Return the CPU that comes with the memory, in cores."""
    return memory_mb / MB_PER_CORE


def quota_us(cores: float) -> int:
    """Return how much of each period a function may run, over all CPUs."""
    return max(LEAST_QUOTA_US, round(cores * PERIOD_US))
