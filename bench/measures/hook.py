"""The hook itself, per invocation. In: a function with 20 modules and 5 idle threads. Out: a Section.

Measured twice: from outside, as the time that the runtime client's ``handle_event_request`` takes with the hook
and without it, and from inside, as the hook accounts for itself in the records of a run under RIE.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from afterglow.records import Invocation
from bench import hook_child
from bench.arms import layer_arm
from bench.effort import Effort
from bench.environment import ENVIRON, plan_for, started, this_python
from bench.hook_listener import listening
from bench.section import Budget, Section, Table, comparison, plain
from bench.stats import bootstrap, differences

TITLE = "what the hook takes of an invocation"
BUDGET_US = 80.0
MODULES, THREADS = 20, 5
ROUNDS, CALLS = 30, 40
RIE_CALLS = 500
PACES_MS = {"5 ms apart": 5.0, "back to back": 0.0}

METHOD = f"""\
A function with {MODULES} modules, each with containers at module level, and {THREADS} threads that wait in
`queue.get`. From outside: `awslambdaric.bootstrap.handle_event_request` in one process, with the hook and without it
in turns, up to where the client asks for the next event, {ROUNDS} rounds of {CALLS} calls each, a listener reading the
facts in another process; *added* is the median over the rounds of the differences between the rounds' medians. It
contains both looks, the facts' JSON and the system calls that send them. From inside: `hook_ms` of the Invocation
records of {RIE_CALLS} invocations under RIE; all but the sending of the last fact is in there."""

MODULE = """\
CACHE = {{str(n): n for n in range(100)}}
ROWS = list(range(100))
SEEN = set()


def work_{number}(value):
    return CACHE.get(value)
"""

APP = """\
import queue
import threading
{imports}

jobs = queue.Queue()
threads = [threading.Thread(target=jobs.get, daemon=True) for _ in range({threads})]
for thread in threads:
    thread.start()


def handler(event, context):
    return 1
"""


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Measure from outside at each pace, then from inside."""
    budgets, tables, notes = [], [], []
    with tempfile.TemporaryDirectory(prefix="afterglow-bench-") as scratch:
        folder = Path(scratch)
        _write_function(folder)
        for pace, gap_ms in PACES_MS.items():
            blocks, lost = _from_outside(folder, effort.rounds(ROUNDS), gap_ms)
            added = differences(_medians(blocks["hooked"]), _medians(blocks["bare"]))
            values = {name: [us for block in found for us in block] for name, found in blocks.items()}
            tables.append(comparison(values, {"hooked": added}, "µs", f"From outside, calls {pace}", digits=1))
            show(tables[-1])
            budgets.append(Budget(f"The hook, from outside, {pace}", BUDGET_US, "µs", bootstrap(added)))
            if lost:
                notes.append(f"{lost} facts found the socket full, calls {pace}.")
        inside = _from_inside(folder, effort.rounds(RIE_CALLS))
    budgets.append(Budget("The hook, by its own account under RIE", BUDGET_US, "µs", bootstrap(inside)))
    tables.append(plain({"under RIE": inside}, "µs", "From inside (`hook_ms`)", digits=1))
    return Section(METHOD, budgets, tables, notes)


def _write_function(folder: Path) -> None:
    names = [f"part_{number:02}" for number in range(MODULES)]
    for number, name in enumerate(names):
        (folder / f"{name}.py").write_text(MODULE.format(number=number))
    imports = "\n".join(f"import {name}" for name in names)
    (folder / "app.py").write_text(APP.format(imports=imports, threads=THREADS))


def _from_outside(folder: Path, rounds: int, gap_ms: float) -> tuple[dict[str, list[list[float]]], int]:
    """Return µs per call, round by round, and how many facts were lost."""
    address = f"bench-{os.getpid()}"
    with listening(address) as seen:
        done = subprocess.run(
            [sys.executable, "-m", hook_child.__name__, str(folder), str(rounds), str(CALLS), str(gap_ms)],
            env={**ENVIRON, **import_as_here(), "_HANDLER": "app.handler", "AWS_LAMBDA_RUNTIME_API": address},
            cwd=Path(hook_child.__file__).parent.parent,
            stdout=subprocess.PIPE,
            check=True,
        )
    found: dict[str, list[list[int]]] = json.loads(done.stdout)
    sent = 2 * CALLS * (rounds + 1)  # entered and returned, of the rounds and of the one that does not count
    lost = sent - seen["entered"] - seen["returned"]
    return {name: [[ns / 1000 for ns in block] for block in blocks] for name, blocks in found.items()}, lost


def import_as_here() -> dict[str, str]:
    """Let a child import the same modules as this process."""
    return {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _medians(blocks: list[list[float]]) -> list[float]:
    return [median(block) for block in blocks]


def _from_inside(folder: Path, calls: int) -> list[float]:
    """Return ``hook_ms`` of each invocation but the first, in µs."""
    arm = layer_arm(this_python())._replace(env={})
    with started(plan_for(arm, "app.handler", folder)) as environment:
        for _ in range(calls):
            environment.call()
        environment.stop()
        found = [record for record in environment.records() if isinstance(record, Invocation)]
    return [1000 * record.hook_ms for record in found[1:] if record.hook_ms is not None]
