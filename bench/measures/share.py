"""What the extension takes of the CPU, and what that comes to where there is little. In: environments. Out: a Section.

A function shares its CPU with its extensions, and Lambda hands CPU out in proportion to memory.
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from statistics import fmean

from bench.arms import BARE, LAYER, NONE, Arm, all_arms
from bench.effort import Effort
from bench.environment import Environment, extension_pid, on_cpu_ns, plan_for, started, this_python
from bench.section import Budget, Section, Table, comparison, plain
from bench.stats import bootstrap, differences, rotated

TITLE = "what the extension takes of the CPU, and what that adds at 128 MB"
ROUNDS, CALLS_PER_ROUND = 12, 50
BLOCKS, CALLS_PER_BLOCK = 12, 12
WARM_UP_CALLS = 50
BUDGET_MS = 0.6
SMALL_MB = 128
PACES_MS = {"back to back": 0, "20 ms apart": 20}
SMALL_PACES_MS = {"back to back": 0, "100 ms apart": 100}

METHOD = f"""\
The handler does nothing; the layer has its defaults; nothing freezes. *CPU* is what the kernel says that the
extension's process has had (`/proc/PID/schedstat`), {ROUNDS} rounds of {CALLS_PER_ROUND} invocations after
{WARM_UP_CALLS} that do not count; 20 ms apart, its caches are cold and its timers go off. *{SMALL_MB} MB*: function and
extension together have 7.2 % of a core, by a cgroup's quota in periods of 20 ms, as on Lambda; RIE has as much as it
needs. {BLOCKS} rounds of {CALLS_PER_BLOCK} invocations, the order rotated; *added* compares the rounds' means, since
who has used a period's quota up waits for the next one, and a median would not show it. Back to back, nothing is idle
that the extension could use: what it takes, divided by 7.2 %, is added. With a rest between two invocations
it is done before the next one begins."""


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Measure the CPU first, then the time at the small share."""
    with tempfile.TemporaryDirectory(prefix="afterglow-bench-") as scratch:
        arms = {arm.name: arm for arm in all_arms(this_python(), Path(scratch))[0]}
        signs = {BARE: "/bare", LAYER: "afterglow.boot.main("}
        cpu = {
            f"{name}, {pace}": _cpu_ms(arms[name], sign, gap_ms, effort)
            for name, sign in signs.items()
            for pace, gap_ms in PACES_MS.items()
        }
        tables = [plain(cpu, "ms", "CPU of the extension per invocation", digits=3)]
        show(tables[0])
        with ExitStack() as stack:
            small = {name: stack.enter_context(_small(arms[name])) for name in (NONE, BARE, LAYER)}
            for pace, gap_ms in SMALL_PACES_MS.items():
                tables.append(_latency(small, pace, gap_ms, effort))
                show(tables[-1])
    budgets = [
        Budget(f"CPU per invocation, {pace}", BUDGET_MS, "ms", bootstrap(cpu[f"{LAYER}, {pace}"])) for pace in PACES_MS
    ]
    return Section(METHOD, budgets, tables, [])


def _cpu_ms(arm: Arm, sign: str, gap_ms: float, effort: Effort) -> list[float]:
    """Return, per round, what the extension had for each invocation."""
    rounds = []
    with started(plan_for(arm)) as environment:
        _calls(environment, WARM_UP_CALLS, gap_ms)
        pid = extension_pid(sign)
        for _ in range(effort.rounds(ROUNDS)):
            before_ns = on_cpu_ns(pid)
            _calls(environment, CALLS_PER_ROUND, gap_ms)
            rounds.append((on_cpu_ns(pid) - before_ns) / 1e6 / CALLS_PER_ROUND)
    return rounds


def _small(arm: Arm) -> AbstractContextManager[Environment]:
    return started(plan_for(arm)._replace(memory_mb=SMALL_MB, limit_cpu=True))


def _latency(alive: dict[str, Environment], pace: str, gap_ms: float, effort: Effort) -> Table:
    blocks: dict[str, list[list[float]]] = {name: [] for name in alive}
    for environment in alive.values():
        _calls(environment, CALLS_PER_BLOCK, gap_ms)
    for turn in range(effort.rounds(BLOCKS)):
        for name in rotated(list(alive), turn):
            blocks[name].append(_calls(alive[name], CALLS_PER_BLOCK, gap_ms))
    means = {name: [fmean(block) for block in found] for name, found in blocks.items()}
    added = {name: differences(found, means[NONE]) for name, found in means.items() if name != NONE}
    return comparison(means, added, "ms", f"Mean time of an invocation at {SMALL_MB} MB, {pace}, by round")


def _calls(environment: Environment, calls: int, gap_ms: float) -> list[float]:
    took = []
    for _ in range(calls):
        took.append(environment.call())
        time.sleep(gap_ms / 1000)
    return took
