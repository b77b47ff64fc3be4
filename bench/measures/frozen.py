"""Frozen time as the agent recognises it, against the clock of whoever froze it. In: runs. Out: a Section."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from afterglow.records import Invocation
from afterglow_layer.failure import Failure
from afterglow_layer.local import session
from bench.arms import layer_arm
from bench.effort import Effort
from bench.environment import plan_for, this_python
from bench.section import Section, Table
from bench.stats import summary

TITLE = "recognised frozen time against the freezer's own clock"
GAPS_S = {0.02: 40, 0.1: 40, 0.5: 20, 2.0: 12}
"""Length of a freeze → how many of them."""
SMALL_GAPS_S = {0.02: 30, 0.1: 30, 0.5: 20}
SMALL_MB = 128
"""The least memory that Lambda gives, and with it the least CPU: 7.2 % of a core."""
FIRST = 4
"""So many freezes can come over the extension while it does what it does once: its imports, the footprint."""

METHOD = """\
Runs as `afterglow run` makes them, with the kernel's freezer. Error is `frozen_before_ms` of the Invocation record less
the time that the freezer held the sandbox: from the moment when all of it stood still until the thaw was written. A
process can stop up to a few ms before the last one does, so a small positive error is in the method. *Busy*: a
process per core that only burns CPU runs beside it. *128 MB*: function and extension have the CPU share of that size
by a cgroup's quota, in periods of 20 ms; whoever has used it up stops for a freeze only when the next period begins,
so there up to 20 ms are in the method. *Seen* counts the freezes that were recognised at all. The first 4 freezes of
an environment, which can come over the extension's own imports, stand in a column of their own."""

HEAD = [
    "freeze",
    "n",
    "seen",
    "median error, ms",
    "p90 of its size, ms",
    "worst, ms",
    "worst, %",
    "first 4: worst, ms",
]


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Measure each length, on a quiet and on a busy machine, and then no freeze at all."""
    rows: list[list[str]] = []
    freezer = ""
    for busy in (False, True):
        with burning(busy):
            for gap_s, count in GAPS_S.items():
                pairs, freezer = _run(gap_s, FIRST + effort.rounds(count), "auto")
                rows.append(_row(f"{gap_s * 1000:g} ms{', busy' if busy else ''}", pairs))
                show(Table(HEAD, rows))
    for gap_s, count in SMALL_GAPS_S.items():
        pairs, _ = _run(gap_s, FIRST + effort.rounds(count), "auto", SMALL_MB)
        rows.append(_row(f"{gap_s * 1000:g} ms, {SMALL_MB} MB", pairs))
        show(Table(HEAD, rows))
    unfrozen = []
    for memory_mb, busy in ((None, True), (SMALL_MB, False), (SMALL_MB, True)):
        with burning(busy):
            pairs, _ = _run(0.02, FIRST + effort.rounds(100), "none", memory_mb)
        share = f", {memory_mb} MB" if memory_mb else ""
        rows.append(_row(f"none, 20 ms of rest{share}{', busy' if busy else ''}", pairs))
        unfrozen += pairs
    return Section(METHOD, [], [Table(HEAD, rows, f"Freezer: {freezer}")], _notes(unfrozen))


def _notes(unfrozen: list[tuple[float, float]]) -> list[str]:
    false = [told for told, _ in unfrozen if told]
    text = f"Without a freezer, {len(false)} of {len(unfrozen)} invocations were told a freeze that there was not"
    return [f"{text}, the longest {max(false):.1f} ms." if false else f"{text}."]


def _row(name: str, pairs: list[tuple[float, float]]) -> list[str]:
    first, later = pairs[:FIRST], pairs[FIRST:]
    errors = [told - held for told, held in later]
    sizes = summary([abs(error) for error in errors])
    shares = [100 * abs(told - held) / held for told, held in later if held]
    return [
        name,
        str(len(pairs)),
        str(sum(told > 0 for told, _ in pairs)),
        f"{summary(errors).median:+.2f}",
        f"{sizes.p90:.2f}",
        f"{sizes.most:.2f}",
        f"{max(shares):.1f}" if shares else "",
        f"{max(abs(told - held) for told, held in first):.2f}",
    ]


def _run(gap_s: float, count: int, freezer: str, memory_mb: int | None = None) -> tuple[list[tuple[float, float]], str]:
    """Return (recognised, held) in ms per freeze, and the freezer's name; ``memory_mb``: whose CPU share to keep to."""
    arm = layer_arm(this_python())._replace(env={})
    plan = plan_for(arm)._replace(events=[b"{}"] * (count + 1), gap_s=gap_s, freezer=freezer)
    if memory_mb is not None:
        plan = plan._replace(memory_mb=memory_mb, limit_cpu=True)
    done = session.run(plan)
    if done.facts.problem or done.interrupted:
        raise Failure(done.facts.problem or "interrupted")
    held = {call.request_id: call.frozen_before_ms for call in done.facts.calls[1:]}
    told = [record for record in done.records if isinstance(record, Invocation) and record.request_id in held]
    if len(told) != count:
        raise Failure(f"{len(told)} of {count} invocations have a record")
    return [(record.frozen_before_ms or 0.0, held[record.request_id]) for record in told], done.facts.freezer


@contextmanager
def burning(asked: bool) -> Iterator[None]:
    """Keep every core busy meanwhile."""
    cores = len(os.sched_getaffinity(0)) if asked else 0
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
