"""A warm invocation with and without the layer. In: environments that live side by side. Out: a Section.

The environments take turns in blocks, so that what the machine does meanwhile falls on all of them; only one of
them is ever called at a time.
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from afterglow.records import Invocation
from bench.arms import LAYER, NONE, all_arms, layer_arm
from bench.effort import Effort
from bench.environment import Environment, plan_for, started, this_python
from bench.section import Budget, Section, Table, comparison
from bench.stats import bootstrap, differences, rotated

TITLE = "what the layer adds to a warm invocation"
BLOCKS = 24
CALLS_PER_BLOCK = 25
WARM_UP_CALLS = 50
BUDGET_MS = 0.3
PACES_MS = {"back to back": 0, "20 ms apart": 20}

METHOD = f"""\
One environment per arm, all alive at once; {BLOCKS} rounds, in each of them {CALLS_PER_BLOCK} invocations of every
arm, the order rotated, so {BLOCKS * CALLS_PER_BLOCK} per arm, after {WARM_UP_CALLS} that do not count. The handler
does nothing; nothing freezes. *Added* is the median over the rounds of the differences between the blocks' medians.
Back to back is the hardest case: the extension puts one invocation away while the next is running. Under RIE a call
ends for its caller when the runtime and every extension have asked for the next event; on Lambda, with the answer."""

Blocks = dict[str, list[list[float]]]


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Measure at each pace."""
    tables, budgets = [], []
    with tempfile.TemporaryDirectory(prefix="afterglow-bench-") as scratch, ExitStack() as stack:
        arms, notes = all_arms(this_python(), Path(scratch))
        alive = {arm.name: stack.enter_context(started(plan_for(arm))) for arm in arms}
        for environment in alive.values():
            _block(environment, WARM_UP_CALLS, 0)
        for pace, gap_ms in PACES_MS.items():
            blocks = _rounds(alive, effort.rounds(BLOCKS), gap_ms, show)
            added = _added(blocks)
            budgets.append(Budget(f"Added to a warm invocation, {pace}", BUDGET_MS, "ms", bootstrap(added[LAYER])))
            tables.append(comparison(_flat(blocks), added, "ms", f"Invocations {pace}", digits=3))
    return Section(METHOD, budgets, tables, [*notes, _agents_share(effort)])


def _agents_share(effort: Effort) -> str:
    """Say what the extension burns beside each invocation, from its records, in an environment of their own."""
    with started(plan_for(layer_arm(this_python())._replace(env={}))) as environment:
        _block(environment, effort.rounds(BLOCKS) * CALLS_PER_BLOCK, PACES_MS["20 ms apart"])
        environment.stop()
        told = [record for record in environment.records() if isinstance(record, Invocation)]
    cpu_ms = median(record.agent_cpu_ms for record in told[WARM_UP_CALLS:] if record.agent_cpu_ms is not None)
    hook_ms = median(record.hook_ms for record in told[WARM_UP_CALLS:] if record.hook_ms is not None)
    return (
        f"By its own account, 20 ms apart: {cpu_ms:.2f} ms of CPU in the extension per invocation (its records file "
        f"included), at the lowest priority and beside the function; {hook_ms:.3f} ms in the hook."
    )


def _rounds(alive: dict[str, Environment], rounds: int, gap_ms: float, show: Callable[[Table], None]) -> Blocks:
    blocks: Blocks = {name: [] for name in alive}
    for turn in range(rounds):
        for name in rotated(list(alive), turn):
            blocks[name].append(_block(alive[name], CALLS_PER_BLOCK, gap_ms))
        caption = f"{gap_ms:g} ms apart, round {turn + 1} of {rounds}"
        show(comparison(_flat(blocks), _added(blocks), "ms", caption, digits=3))
    return blocks


def _block(environment: Environment, calls: int, gap_ms: float) -> list[float]:
    took = []
    for _ in range(calls):
        took.append(environment.call())
        time.sleep(gap_ms / 1000)
    return took


def _flat(blocks: Blocks) -> dict[str, list[float]]:
    return {name: [took for block in found for took in block] for name, found in blocks.items()}


def _added(blocks: Blocks) -> dict[str, list[float]]:
    medians = {name: [median(block) for block in found] for name, found in blocks.items()}
    return {name: differences(found, medians[NONE]) for name, found in medians.items() if name != NONE}
