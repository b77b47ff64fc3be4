"""Waiting, and noticing what the wait was. In: descriptors and a timeout. Out: what is ready, and frozen time.

The one place that sleeps. What neither the timeout, nor our CPU, nor waiting for a CPU explains was a freeze
(docs/decisions/0007-frozen-time.md).
"""

import select
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from afterglow import proc
from afterglow.freeze import FrozenTime, window_at_work, window_of

NOTHING: Mapping[int, int] = {}


SLOWEST_DISK_NS = 100_000_000


class Checkpoint(NamedTuple):
    """Clocks that only make sense together: what we did, and what we waited for a CPU to do."""

    mono_ns: int
    cpu_ns: int
    run_delay_ns: int


def checkpoint() -> Checkpoint:
    """Read the clocks."""
    return Checkpoint(time.monotonic_ns(), time.process_time_ns(), int((proc.read_run_delay_ms() or 0.0) * 1e6))


class Poller:
    """Polls, and keeps ``frozen`` up to date."""

    def __init__(self, since_ns: int, cpu_ns: int) -> None:
        self.frozen = FrozenTime()
        self.last = Checkpoint(since_ns, cpu_ns, 0)

    def wait(self, descriptors: Iterable[int], timeout_ms: float, masks: Mapping[int, int] = NOTHING) -> set[int]:
        """Wait for input until ``timeout_ms`` have passed; return the descriptors that have some.

        ``masks`` are further descriptors with the events that they wait for.
        """
        poller = select.poll()
        for descriptor in descriptors:
            poller.register(descriptor, select.POLLIN)
        for descriptor, mask in masks.items():
            poller.register(descriptor, mask)
        slept = self.look_back()
        ready = {descriptor for descriptor, _ in poller.poll(timeout_ms)}
        woke = self.last = checkpoint()
        starved_ns = woke.run_delay_ns - slept.run_delay_ns
        self.frozen.add(window_of(slept.mono_ns, int(timeout_ms * 1e6), woke.mono_ns, starved_ns))
        return ready

    def forgive(self) -> None:
        """Take the time since the last checkpoint for a wait for the disk, unless no disk is as slow."""
        now = checkpoint()
        if now.mono_ns - self.last.mono_ns < SLOWEST_DISK_NS:
            self.last = now

    def look_back(self) -> Checkpoint:
        """Note a freeze that came over us at work since the last checkpoint."""
        now, before = checkpoint(), self.last
        cpu_ns, delay_ns = now.cpu_ns - before.cpu_ns, now.run_delay_ns - before.run_delay_ns
        self.frozen.add(window_at_work(before.mono_ns, now.mono_ns, cpu_ns, delay_ns))
        self.last = now
        return now
