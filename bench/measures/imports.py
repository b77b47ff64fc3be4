"""What timing imports costs, and what watching which modules run costs. In: 300 modules. Out: a Section."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from shutil import which
from statistics import median

import afterglow_hook
from bench import import_child
from bench.effort import Effort
from bench.environment import ENVIRON
from bench.hook_listener import listening
from bench.section import Budget, Section, Table, comparison, plain
from bench.stats import bootstrap, differences, rotated

TITLE = "timing each import"
MODULES, FUNCTIONS = 300, 500
ROUNDS = 100
BUDGET_SHARE = 3.0
ARMS = ("untimed", "afterglow", "audit hook", "wrapped loader")
HOOK = str(Path(afterglow_hook.__file__).parents[1])

METHOD = f"""\
A handler's module that imports {MODULES} small modules (a class, two functions, a table each), one process per
import, the bytecode cached, {ROUNDS} rounds with the arms in turns. *Added* is the median of the differences to the
untimed import of the same round; the budget is on the CPU, as a share of the untimed median: a clock computes and
never waits, and wall time on a shared machine is the neighbours'. The rivals are what else could have been done
(docs/decisions/0013-imports-at-the-lock.md). *Telling* is the making and sending of the tree, once, after the first
answer, in CPU. *Watching* compares a handler that calls {FUNCTIONS} functions, with `sys.monitoring` and
without it, on Python 3.12 or newer."""

MODULE = '''\
"""Module {n}."""
{imports}
class Shop{n}:
    """A class."""
    rate = {n}
    def add(self, value):
        return value + self.rate
    def all(self, count):
        return [self.add(value) for value in range(count)]
TABLE = {{str(key): key for key in range(20)}}
def first_{n}(value, other=2):
    return value + other
def second_{n}(*values):
    return first_{n}(*values)
'''


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Measure importing, then telling, then watching."""
    rounds = effort.rounds(ROUNDS)
    with tempfile.TemporaryDirectory(prefix="afterglow-bench-") as scratch:
        folder = Path(scratch)
        _write_modules(folder)
        found = _rounds(ARMS, folder, rounds, sys.executable)
        tables = []
        for field, caption in (("import_ns", "wall time"), ("cpu_ns", "CPU")):
            times = {arm: [one[field] / 1e6 for one in found[arm]] for arm in ARMS}
            added = {arm: differences(times[arm], times["untimed"]) for arm in ARMS[1:]}
            tables.append(comparison(times, added, "ms", f"Importing {MODULES} modules, {caption}"))
            show(tables[-1])
        share = [100 * value / median(times["untimed"]) for value in added["afterglow"]]
        budgets = [Budget(f"Timing {MODULES} imports", BUDGET_SHARE, "%", bootstrap(share))]
        telling = [one["tell_ns"] / 1e6 for one in found["afterglow"]]
        tables.append(plain({"afterglow": telling}, "ms", "Telling the tree, once, after the first answer"))
        watching, notes = _watching(folder, rounds)
    return Section(METHOD, budgets, [*tables, *watching], notes)


def _watching(folder: Path, rounds: int) -> tuple[list[Table], list[str]]:
    python = _monitored_python()
    if python is None:
        return [], ["Watching was not measured: no Python 3.12 or newer at hand."]
    _write_functions(folder)
    found = _rounds(("calls", "watched"), folder, rounds, python)
    tables = []
    for field, caption in (("first_ns", "The first call"), ("later_ns", "Later calls")):
        times = {arm: [one[field] / 1e3 for one in ones] for arm, ones in found.items()}
        added = {"watched": differences(times["watched"], times["calls"])}
        tables.append(comparison(times, added, "µs", f"{caption} of a handler that calls {FUNCTIONS} functions"))
    version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.strip()
    return tables, [f"Watching was measured under {version}."]


def _rounds(arms: tuple[str, ...], folder: Path, rounds: int, python: str) -> dict[str, list[dict[str, int]]]:
    """Return what the child says, per arm, round by round; the first round, which compiles, does not count."""
    found: dict[str, list[dict[str, int]]] = {arm: [] for arm in arms}
    for turn in range(rounds + 1):
        for arm in rotated(arms, turn):
            address = f"bench-imports-{os.getpid()}-{turn}"
            with listening(address) if arm == "afterglow" else nullcontext():
                one = _child(arm, folder, python, address)
            if turn:
                found[arm].append(one)
    return found


def _child(arm: str, folder: Path, python: str, address: str) -> dict[str, int]:
    done = subprocess.run(
        [python, import_child.__file__, arm, str(folder), HOOK],
        env={**ENVIRON, "AWS_LAMBDA_RUNTIME_API": address},
        stdout=subprocess.PIPE,
        check=True,
    )
    said: dict[str, int] = json.loads(done.stdout)
    return said


def _write_modules(folder: Path) -> None:
    for n in range(MODULES):
        below = [child for child in (2 * n + 1, 2 * n + 2) if child < MODULES]
        imports = "\n".join(f"import part_{child}" for child in below)
        (folder / f"part_{n}.py").write_text(MODULE.format(n=n, imports=imports))
    (folder / "app.py").write_text("import part_0\n\n\ndef handler(event, context):\n    return 1\n")


def _write_functions(folder: Path) -> None:
    functions = "\n".join(f"def work_{n}(value):\n    return value + {n}\n" for n in range(FUNCTIONS))
    calls = "\n".join(f"    work_{n}(1)" for n in range(FUNCTIONS))
    (folder / "app.py").write_text(f"{functions}\ndef handler(event, context):\n{calls}\n")


def _monitored_python() -> str | None:
    """Return a Python with ``sys.monitoring``: this one, one on PATH, or one of pyenv's."""
    on_path = [which(f"python3.{minor}") for minor in (12, 13, 14)]
    candidates = [sys.executable, *filter(None, on_path)]
    candidates += [str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.1[2-9].*/bin/python"))]
    code = "import sys; sys.exit(not hasattr(sys, 'monitoring'))"
    works = (p for p in candidates if subprocess.run([p, "-c", code], capture_output=True, check=False).returncode == 0)
    return next(works, None)
