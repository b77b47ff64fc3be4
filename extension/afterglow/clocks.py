"""The clocks that tell a freeze from work and from starving, read together. In: /proc, cgroups. Out: checkpoints."""

import time
from typing import NamedTuple

from afterglow.kept import KeptFile
from afterglow.proc import parse_run_delay_ns
from afterglow.starved import (
    UNSURE_NS,
    Groups,
    Starved,
    Throttled,
    find_groups,
    parse_busy_ns,
    read_period_ns,
    read_throttled,
    starved,
)

BASELINE_NS = 20_000_000  # a read of /proc/stat costs 5 µs and more: not for every poll


class Checkpoint(NamedTuple):
    """Clocks that only make sense together: what we did, and what we waited for a CPU to do."""

    mono_ns: int
    cpu_ns: int
    run_delay_ns: int
    throttled: Throttled = Throttled(0, 0)


class Clocks:
    """This process's own clocks, and what the machine's CPUs do."""

    def __init__(self) -> None:
        self.groups: Groups | None = None
        self.run_delay_ns = 0
        self.throttled = Throttled(0, 0)
        self.baseline_at_ns = 0
        self.baseline_ns: int | None = None  # unknown for what lies before the first look
        self._schedstat = KeptFile("/proc/self/schedstat")
        self._stat = KeptFile("/proc/stat")
        self._quotas: dict[str, KeptFile] = {}

    def read(self) -> Checkpoint:
        """Read the clocks; one that cannot be read (no descriptor left, say) stands still meanwhile."""
        if self.groups is None:
            self.groups = find_groups()
            self._quotas = {path: KeptFile(path) for path in self.groups.files}
        run_delay_ns = parse_run_delay_ns(self._schedstat.read() or "")
        if run_delay_ns is not None and run_delay_ns > self.run_delay_ns:
            self.run_delay_ns = run_delay_ns
        if self._quotas:
            self.throttled = max(self.throttled, read_throttled(self.groups, lambda path: self._quotas[path].read()))
        return Checkpoint(time.monotonic_ns(), time.process_time_ns(), self.run_delay_ns, self.throttled)

    def read_busy_ns(self) -> int | None:
        """Return how long all CPUs were busy since boot; None where that does not tell who kept us waiting."""
        known = self.groups is not None and self.groups.complete
        return parse_busy_ns(self._stat.read() or "") if known else None

    def mark(self, now: Checkpoint) -> None:
        """Remember what the CPUs have done until now."""
        if now.mono_ns - self.baseline_at_ns > BASELINE_NS:
            self.baseline_at_ns, self.baseline_ns = now.mono_ns, self.read_busy_ns()

    def starved(self, before: Checkpoint, now: Checkpoint) -> Starved:
        """Return how long we had to wait between two checkpoints, the first no older than the last ``mark``."""
        run_delay_ns = now.run_delay_ns - before.run_delay_ns
        busy_ns = None
        if run_delay_ns >= UNSURE_NS and self.baseline_ns is not None:
            until_now_ns = self.read_busy_ns()
            busy_ns = None if until_now_ns is None else until_now_ns - self.baseline_ns
        throttled = Throttled(*(then - was for then, was in zip(now.throttled, before.throttled, strict=True)))
        if now.throttled.periods:  # a quota holds us: the kernel can be a period behind with saying so
            throttled = throttled._replace(periods=throttled.periods + 1)
        period_ns = read_period_ns(self.groups) if throttled.periods > 0 and self.groups is not None else 0
        return starved(run_delay_ns, throttled, period_ns, busy_ns)
