"""The functions of the corpus, and what is true of them.

In: functions/NAME/case.toml. Out: a `Case` each; a fragment of a source line is turned into the lines that hold it.
"""

import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FUNCTIONS = Path(__file__).parent / "functions"


class Work(NamedTuple):
    """A sort of work that invocations hand on: where it starts, and how its fate is known."""

    path: str | None  # of the sink's requests that carry it: a regular expression; None: no request does
    where: tuple[str, ...]  # FILE:LINE, any of which is its call site
    what: tuple[str, ...]  # what it may be called; empty: anything
    sort: str  # what it is, for the tables: thread, executor, asyncio-task, process, timer, worker …
    may: bool  # it is under way, but as a part of other work: to tell of it is right, and not to as well
    invocations: tuple[int, ...]  # where no request tells: those that leave it behind
    outcomes: tuple[str, ...]  # where no request tells: what becomes of it; else: what may be told of it as well


class OwnLine(NamedTuple):
    """An invocation that fails, and the line of the function's own code that it fails in."""

    invocation: int
    where: tuple[str, ...]
    kind: str  # the exception's class, or "timeout"


class Case(NamedTuple):
    """One function, with what is true of it."""

    name: str
    truth: str
    libraries: tuple[str, ...]
    invocations: int
    run: tuple[str, ...]
    env: dict[str, str]
    services: tuple[str, ...]
    sink: dict[str, dict[str, Any]]  # delay, status, answer: by regular expression
    well_behaved: bool  # nothing is under way at any return
    work: tuple[Work, ...]
    own_lines: tuple[OwnLine, ...]
    arrives: tuple[str, ...]  # paths by which each invocation's order is at the sink, and answered, before the return
    report_has: tuple[str, ...]
    report_lacks: tuple[str, ...]
    handler: str
    limits: str | None  # why Afterglow cannot tell all of it

    @property
    def hands_on(self) -> bool:
        """Whether its invocations leave work behind, of which a finding must tell."""
        return any(not work.may for work in self.work)

    @property
    def folder(self) -> Path:
        return FUNCTIONS / self.name


def lines_with(folder: Path, fragment: str) -> list[str]:
    """Return FILE:LINE of each line with the fragment, in app.py or in the file that is named before `: `."""
    other = re.match(r"([\w/]+\.\w+): (.*)", fragment)
    name, text = (other[1], other[2]) if other else ("app.py", fragment)
    lines = (folder / name).read_text().splitlines()
    found = [f"{Path(name).name}:{number}" for number, line in enumerate(lines, 1) if text in line]
    assert found, f"{folder.name}: no line of {name} has {text!r}"
    return found


def places(folder: Path, fragments: list[str]) -> tuple[str, ...]:
    return tuple(place for fragment in fragments for place in lines_with(folder, fragment))


def read_work(folder: Path, told: dict[str, Any]) -> Work:
    return Work(
        path=told.get("path"),
        where=places(folder, told["where"]),
        what=tuple(told.get("what", ())),
        sort=told["sort"],
        may=told.get("may", False),
        invocations=tuple(told.get("invocations", ())),
        outcomes=tuple(told.get("outcomes", ())),
    )


def read_case(folder: Path) -> Case:
    """Read one function's case.toml."""
    told = tomllib.loads((folder / "case.toml").read_text())
    work = tuple(read_work(folder, each) for each in told.get("work", ()))
    own_lines = tuple(
        OwnLine(each["invocation"], places(folder, each["where"]), each["kind"]) for each in told.get("own_line", ())
    )
    return Case(
        name=folder.name,
        truth=" ".join(told["truth"].split()),
        libraries=tuple(told.get("libraries", ())),
        invocations=told.get("invocations", 4),
        run=("--memory", str(told.get("memory", 1769)), "--gap", str(told.get("gap", 0.5)), *told.get("run", ())),
        env=told.get("env", {}),
        services=tuple(told.get("services", ())),
        sink=told.get("sink", {}),
        well_behaved=not work and not own_lines,
        work=work,
        own_lines=own_lines,
        arrives=tuple(told.get("arrives", ())),
        report_has=tuple(told.get("report_has", ())),
        report_lacks=tuple(told.get("report_lacks", ())),
        handler=told.get("handler", "app.handler"),
        limits=told.get("limits"),
    )


def all_cases() -> list[Case]:
    """Read the whole corpus, by name."""
    return [read_case(path.parent) for path in sorted(FUNCTIONS.glob("*/case.toml"))]
