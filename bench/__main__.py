"""The command line: ``python -m bench [NAME…] [--quick] [--out FILE]``. Out: tables, and sections of RESULTS.md."""

import argparse
import os
import shlex
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from rich.console import Console

from afterglow_layer.failure import Failure
from bench import machine
from bench.effort import Effort
from bench.screen import Screen
from bench.section import Section, markdown, replaced

OF_THE_LAYER = (
    "cold",
    "warm",
    "share",
    "hook",
    "imports",
    "memory",
    "size",
    "shutdown",
    "frozen",
    "timing",
    "shipping",
)
NAMES = (*OF_THE_LAYER, "collector", "curve", "answers", "growth", "kills")
RESULTS = Path(__file__).parent / "RESULTS.md"


def main(arguments: list[str]) -> int:
    """Measure what was asked for; 1 when a measurement could not be made."""
    modules = {name: import_module(f"bench.measures.{name}") for name in NAMES}
    asked = parser(modules).parse_args(arguments)
    screen = Screen(Console(highlight=False))
    effort = Effort(quick=asked.quick)
    for name in asked.names or NAMES:
        made_by = machine.facts(shlex.join([".venv/bin/python", "-m", "bench", name]))
        load_before = os.getloadavg()[0]
        screen.begin(name, modules[name].TITLE)
        try:
            section: Section = modules[name].measure(effort, screen.show)
        except Failure as failure:
            screen.pause()
            print(f"bench {name}: {failure}", file=sys.stderr)
            return 1
        finally:
            screen.pause()
        screen.end(section)
        if not effort.quick:
            made_by.append(machine.load_around(load_before))
            _write(asked.out, name, markdown(name, modules[name].TITLE, section, made_by))
    return 0


def parser(modules: dict[str, ModuleType]) -> argparse.ArgumentParser:
    """Return the parser; its help lists the measurements."""
    listed = "\n".join(f"  {name:9} {module.TITLE}" for name, module in modules.items())
    made = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure what Afterglow costs; each section of the results is replaced when it is measured anew.",
        epilog=f"measurements:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("names", nargs="*", metavar="NAME", choices=[*NAMES, []], help="what to measure (default: all)")
    made.add_argument(
        "--quick", action="store_true", help="a tenth of the rounds, to see that it works; writes nothing"
    )
    made.add_argument("--out", type=Path, default=RESULTS, metavar="FILE", help="results (default: bench/RESULTS.md)")
    return made


def _write(path: Path, name: str, section: str) -> None:
    path.write_text(replaced(path.read_text() if path.exists() else "", name, section, NAMES))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
