"""What is done when nothing has come: looks at processes, weighing of packages. In: the parts. Out: records."""

import time
from typing import Any

from afterglow import deadlines
from afterglow.footprint import read_footprint
from afterglow.lifecycle import State
from afterglow.parts import AFTER_RETURN_MS, Parts
from afterglow.sampler import Look
from afterglow.teller import agent_cpu_ms
from afterglow.watch import figures_at_return, sample_of, watch_processes

IDLE_MOST_MS = 1000.0
WATCHING_MOST_MS = 50.0  # while lingering work is open
WEIGHING_MOST_MS = 4.0  # between two steps of counting what lies on disk


def on_tick(parts: Parts) -> None:
    """Look at what runs, or at what was left running."""
    if parts.state == State.RUNNING:
        _sample(parts, parts.sampler.look(parts.runtime_pid))
        parts.wait_ms = parts.sampler.interval_ms
        return
    watch_processes(parts.lingering, time.monotonic_ns())
    if parts.lingering.open_count():  # when it ends, and whether a freeze came before, is of interest
        parts.wait_ms = min(WATCHING_MOST_MS, parts.wait_ms * 2)
    else:
        parts.wait_ms = min(IDLE_MOST_MS, parts.wait_ms * 4)
    if parts.state == State.GLOWING:
        _use_the_quiet(parts)
    if not parts.gets_invokes and parts.recorder.count:
        parts.teller.invocations(parts.recorder, before=parts.recorder.count + 1, patient=parts.platform_reports())
        parts.teller.flush()


def _use_the_quiet(parts: Parts) -> None:
    """Do what can wait until nobody runs, a little at a time."""
    if parts.wait_ms > AFTER_RETURN_MS * 4:
        tell_footprint(parts)
    anatomy = parts.own_code.anatomy()
    if anatomy.weighs:
        parts.poller.look_back()
        parts.tell(anatomy.weigh(parts.own_code.task_root))
        parts.poller.forgive()
        parts.wait_ms = min(parts.wait_ms, WEIGHING_MOST_MS)


def tell_footprint(parts: Parts) -> None:
    """Tell who owns the memory, once."""
    if parts.footprint_due:
        parts.footprint_due = False
        parts.teller.accept(read_footprint(parts.runtime_pid, round(time.time() * 1000)))


def seen_at_return(parts: Parts, pid: int) -> dict[str, Any]:
    """Return the fields of Invocation that /proc tells at the handler's return."""
    look = parts.sampler.look(pid)
    _sample(parts, look)
    return figures_at_return(look, parts.sampler, pid, alone=parts.gets_invokes)


def _sample(parts: Parts, look: Look) -> None:
    if parts.current is not None:
        parts.current.sampled(time.monotonic_ns(), look.rss_bytes)
        deadlines.watch_memory(parts, look.rss_bytes)
    if parts.teller.keeps_samples():
        index = _sampled_index(parts)
        parts.teller.accept(sample_of(look, index, parts.teller.agent_rss_bytes(), agent_cpu_ms()))
    else:
        parts.teller.see("sample", 1)


def _sampled_index(parts: Parts) -> int | None:
    """Return whose invocation a sample is; nobody's between two, or when several run at once."""
    if parts.current is None or parts.state != State.RUNNING:
        return None
    return parts.current.index if parts.gets_invokes or len(parts.recorder.running) == 1 else None
