"""The extension's memory over many invocations. In: /proc of a running environment. Out: a Section."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from afterglow.proc import parse_kib_field
from afterglow_layer.failure import Failure
from bench.arms import DEFAULTS, layer_arm
from bench.effort import Effort
from bench.environment import Environment, extension_pid, plan_for, started, this_python
from bench.section import Budget, Section, Table
from bench.stats import Interval, Summary, slope, summary

TITLE = "the extension's memory"
BUDGET_MB = 14.0
FLAT_KB_PER_1000 = 100.0
POINTS = (1, 100, 500, 1000, 1500, 2000)
MANY = 10_000  # once, with defaults
JUDGED_AT = 1000
REPEATS = 3
SETTLE_S = 0.2
SPREAD = "range of the repeats"

KINDS = {
    "defaults": ("trivial.handler", {}),
    "EMF every second": ("trivial.handler", {"AFTERGLOW_FLUSH_SECONDS": "1"}),
    "a thread left behind each time": ("lingering.handler", {"AFTERGLOW_FLUSH_SECONDS": "1"}),
}

METHOD = f"""\
One environment per row, {POINTS[-1]:,} invocations back to back; after some of them, a moment later, the extension's
/proc/PID/smaps_rollup. Each row {REPEATS} times, medians. *PSS* here is private pages plus half of the shared ones: on
Lambda the runtime is the one other process with the same interpreter, while on a machine with more Pythons the kernel's
own figure (the last column) shares the interpreter among all of them. The slope is the least-squares line from
{JUDGED_AT:,} invocations on, when what is kept once has been seen once; flat means less than {FLAT_KB_PER_1000:g} KB
per 1,000 invocations."""


class Memory(NamedTuple):
    """One look at the extension, in bytes."""

    private: int
    shared: int
    kernel_pss: int

    @property
    def pss(self) -> float:
        """PSS where every shared page has two owners."""
        return self.private + self.shared / 2


def parse_rollup(text: str) -> Memory:
    """Return what /proc/PID/smaps_rollup says; Failure for a field that is missing."""
    found = {name: parse_kib_field(text, name) for name in FIELDS}
    missing = [name for name, value in found.items() if value is None]
    if missing:
        raise Failure(f"smaps_rollup lacks {', '.join(missing)}")
    bytes_of = {name: value or 0 for name, value in found.items()}
    return Memory(
        private=bytes_of["Private_Clean"] + bytes_of["Private_Dirty"],
        shared=bytes_of["Shared_Clean"] + bytes_of["Shared_Dirty"],
        kernel_pss=bytes_of["Pss"],
    )


FIELDS = ("Private_Clean", "Private_Dirty", "Shared_Clean", "Shared_Dirty", "Pss")


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Measure each kind of function."""
    budgets, rows = [], []
    for kind, (handler, env) in KINDS.items():
        runs = [_run(handler, env) for _ in range(1 if effort.quick else REPEATS)]
        judged = summary([run[JUDGED_AT].pss / 1e6 for run in runs])
        growth = summary([_kb_per_1000(run) for run in runs])
        rows.append(_row(kind, runs, growth.median))
        show(Table(HEAD, rows))
        budgets += [
            Budget(f"PSS after {JUDGED_AT:,} invocations, {kind}", BUDGET_MB, "MB", _spread(judged), SPREAD),
            Budget(f"Growth per 1,000 invocations, {kind}", FLAT_KB_PER_1000, "KB", _spread(growth), SPREAD),
        ]
    tables = [Table(HEAD, rows)]
    if not effort.quick:
        tables.append(_many())
        show(tables[-1])
    return Section(METHOD, budgets, tables, [])


def _many() -> Table:
    """Return the memory along one environment's life of MANY invocations."""
    handler, env = KINDS["defaults"]
    points = (1000, *range(2000, MANY + 1, 2000))
    run = _run(handler, env, points)
    cells = [f"{run[point].pss / 1e6:.2f}" for point in points]
    return Table(["PSS, MB, after", *(f"{point:,}" for point in points)], [["defaults, one environment", *cells]])


HEAD = ["PSS, MB, after", *(f"{point:,}" for point in POINTS), "KB per 1,000", "private, MB", "kernel's PSS, MB"]


def _spread(of: Summary) -> Interval:
    return Interval(of.median, of.least, of.most)


def _row(kind: str, runs: list[dict[int, Memory]], growth_kb: float) -> list[str]:
    def at(point: int, read: Callable[[Memory], float]) -> str:
        return f"{summary([read(run[point]) / 1e6 for run in runs]).median:.2f}"

    last = POINTS[-1]
    return [
        kind,
        *(at(point, lambda memory: memory.pss) for point in POINTS),
        f"{growth_kb:+.0f}",
        at(last, lambda memory: memory.private),
        at(last, lambda memory: memory.kernel_pss),
    ]


def _kb_per_1000(run: dict[int, Memory]) -> float:
    return slope([(point / 1000, memory.pss / 1000) for point, memory in run.items() if point >= JUDGED_AT])


def _run(handler: str, env: dict[str, str], points: tuple[int, ...] = POINTS) -> dict[int, Memory]:
    arm = layer_arm(this_python())._replace(env={**DEFAULTS, **env})
    with started(plan_for(arm, handler)) as environment:
        return {
            point: _read_after(environment, before, point)
            for before, point in zip((0, *points[:-1]), points, strict=True)
        }


def _read_after(environment: Environment, before: int, point: int) -> Memory:
    for _ in range(point - before):
        environment.call()
    time.sleep(SETTLE_S)
    return parse_rollup(Path(f"/proc/{extension_pid()}/smaps_rollup").read_text())
