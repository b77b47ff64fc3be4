"""The first request to a new environment, with and without the layer, on two cores and on one.

Under RIE the first request starts the extensions, waits until they have registered, starts the runtime and
invokes: what an extension does before it registers is in there in full, and what it does beside the runtime's
own start as far as it takes cores away from it. In: arms. Out: a Section.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from afterglow.records import Init
from bench.arms import BARE, LAYER, NONE, Arm, all_arms, layer_arm
from bench.effort import Effort
from bench.environment import on_cores, plan_for, started, this_python
from bench.section import Budget, Section, Table, comparison
from bench.stats import bootstrap, differences, rotated

TITLE = "what the layer adds to a cold start"
ROUNDS = 100
DETAIL_ROUNDS = 20
NEXT_CALLS = 4
BUDGETS_MS = {2: 12.0, 1: 18.0}

Samples = dict[str, list[float]]

METHOD = f"""\
A new environment per sample, and the time that its first request takes the caller: {ROUNDS} rounds, in each of them
every arm once, the order rotated, on two cores and on one (`taskset`: RIE, extension, runtime and caller together).
The handler does nothing; nothing freezes; files are in the page cache. *Added* is the median of the differences
within a round, with its bootstrap interval."""


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Measure on as many cores as there are budgets for."""
    tables, budgets, notes = [], [], []
    with tempfile.TemporaryDirectory(prefix="afterglow-bench-") as scratch:
        arms, reasons = all_arms(this_python(), Path(scratch))
        notes += reasons
        for cores, limit_ms in BUDGETS_MS.items():
            if len(os.sched_getaffinity(0)) < cores:
                notes.append(f"Not measured on {cores} cores: this machine has fewer.")
                continue
            with on_cores(cores):
                firsts, nexts = _rounds(arms, effort.rounds(ROUNDS), cores, show)
                parts = _parts(effort.rounds(DETAIL_ROUNDS))
            added = _added(firsts)
            where = f"on {cores} core{'s' if cores > 1 else ''}"
            budgets.append(Budget(f"Added to the first request {where}", limit_ms, "ms", bootstrap(added[LAYER])))
            tables.append(comparison(firsts, added, "ms", f"First request, {where}"))
            tables.append(comparison(nexts, _added(nexts), "ms", _next_caption(where)))
            notes += _notes(firsts, parts, where)
    return Section(METHOD, budgets, tables, notes)


def _rounds(
    arms: list[Arm], rounds: int, cores: int, show: Callable[[Table], None]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    firsts: Samples = {arm.name: [] for arm in arms}
    nexts: Samples = {arm.name: [] for arm in arms}
    for turn in range(rounds):
        for arm in rotated(arms, turn):
            with started(plan_for(arm)) as environment:
                firsts[arm.name].append(environment.call())
                nexts[arm.name].append(max(environment.call() for _ in range(NEXT_CALLS)))
        show(comparison(firsts, _added(firsts), "ms", f"First request, {cores} cores, round {turn + 1} of {rounds}"))
    return firsts, nexts


def _added(samples: Samples) -> Samples:
    return {name: differences(found, samples[NONE]) for name, found in samples.items() if name != NONE}


def _next_caption(where: str) -> str:
    return f"The slowest of the {NEXT_CALLS} requests that follow at once, {where}"


def _parts(rounds: int) -> dict[str, float]:
    """Return medians of what the layer itself says of its start, in runs of their own (they write records)."""
    arm = layer_arm(this_python())._replace(env={})
    found: list[Init] = []
    for _ in range(rounds):
        with started(plan_for(arm)) as environment:
            environment.call()
            environment.stop()
            found += [record for record in environment.records() if isinstance(record, Init)]
    return {
        "extension_ms": median(init.extension_ms for init in found if init.extension_ms is not None),
        "hook_ms": median(init.hook_ms for init in found if init.hook_ms is not None),
    }


def _notes(firsts: Samples, parts: dict[str, float], where: str) -> list[str]:
    boot = (
        f"launcher, interpreter and register {parts['extension_ms']:.1f} ms (CPU before the first instruction included)"
    )
    hook = f"the hook's installation {parts['hook_ms']:.1f} ms"
    notes = [f"Where it goes, {where}, by the layer's own clocks (medians, runs of their own): {boot}; {hook}."]
    if BARE in firsts:
        limit = bootstrap(differences(firsts[LAYER], firsts[BARE]))
        notes.append(f"Over the Python limit, {where}: {limit.median:+.2f} ms ({limit.low:+.2f} … {limit.high:+.2f}).")
    return notes
