"""Looks at processes, turned into what records hold. In: a sampler, the runtime's pid. Out: samples, figures.

What is shared by several workers of one environment cannot be told apart, and is left out rather than guessed.
"""

import time
from typing import Any

from afterglow import proc
from afterglow.lingering import Lingering
from afterglow.records import Sample
from afterglow.sampler import Look, Sampler


def sample_of(look: Look, request_index: int | None, agent_rss_bytes: int | None, agent_cpu_ms: float) -> Sample:
    """Return one look as a record."""
    return Sample(
        at_ms=round(time.time() * 1000, 3),
        request_index=request_index,
        function_rss_bytes=look.rss_bytes,
        function_cpu_ms=look.cpu_ms,
        agent_rss_bytes=agent_rss_bytes,
        agent_cpu_ms=round(agent_cpu_ms, 3),
        threads=look.tree[0].threads if look.tree else None,
        children=len(look.tree) - 1 if look.tree else None,
    )


def figures_at_return(look: Look, sampler: Sampler, pid: int, *, alone: bool) -> dict[str, Any]:
    """Return the fields of Invocation that /proc tells; ``alone``: no other worker shares the environment."""
    highest = sampler.high_water.read_bytes(pid)
    children_rss = sum(stat.rss_bytes for stat in look.tree[1:])
    sampled = sampler.peak_rss_bytes if alone else None
    peaks = [peak for peak in (sampled, highest and highest + children_rss) if peak]
    return {
        "rss_bytes": look.rss_bytes,
        "peak_rss_bytes": max(peaks, default=None),
        "threads": look.tree[0].threads if look.tree else None,
        "fds": sampler.peak_fds if alone else look.fds,
        "children": len(look.tree) - 1 if look.tree else None,
        "tmp_bytes": proc.read_tmp_used_bytes(),
    }


def watch_processes(lingering: Lingering, now_ns: int, proc_root: str = "/proc") -> None:
    """Follow the child processes among the open lingering work."""
    watched = lingering.open_pids()
    if not watched:
        return
    boot_ns = time.monotonic_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)  # as the monotonic clock has it
    for (owner, work), pid in watched:
        stat = proc.read_stat(pid, proc_root)
        if stat is None or not lingering.is_same(owner, work, stat.start_ms, boot_ns + int(stat.start_ms * 1e6)):
            lingering.vanish(owner, work, now_ns)
            continue
        lingering.burned(owner, work, int((stat.user_ms + stat.system_ms) * 1e6))
        if stat.state in proc.DEAD_STATES:  # a zombie: it has ended, and nobody has waited for it
            lingering.vanish(owner, work, now_ns)
