"""One function's run: its folder laid out, its servers started, `afterglow run` called.

In: a case. Out: the run document, the text report, and what the sink wrote down.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tests.real import packages
from tests.real.cases import Case
from tests.real.services import Services, start_own, start_sink

LIMIT_S = 120


class Arrival(NamedTuple):
    """A request, or a datagram, as the sink had it."""

    path: str
    names: tuple[str, ...]
    arrived_s: float  # Unix time: its last byte was here
    answered_s: float | None  # its answer had been written; None: never
    begun_s: (
        float | None
    )  # just before it was written: on a loaded machine, the client can have it long before the above


class Played(NamedTuple):
    """What a run said, and what truly came."""

    case: Case
    document: dict[str, Any]
    report: str
    arrivals: tuple[Arrival, ...]
    versions: dict[str, str]
    errors: str

    @property
    def flat(self) -> str:
        """The report without its line breaks, which can come anywhere."""
        return " ".join(self.report.split())


def read_log(path: Path) -> tuple[Arrival, ...]:
    """Read the sink's log."""
    facts = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    answered = {fact["number"]: (fact["at_s"], fact["begun_s"]) for fact in facts if fact["fact"] == "answered"}
    return tuple(
        Arrival(fact["path"], tuple(fact["names"]), fact["at_s"], *answered.get(fact["number"], (None, None)))
        for fact in facts
        if fact["fact"] == "arrived"
    )


def events(case: Case) -> list[str]:
    """Return one --event per invocation: each hands over its own order."""
    return [part for n in range(1, case.invocations + 1) for part in ("--event", json.dumps({"order": f"order-{n}"}))]


def command(case: Case, python: Path, folder: Path, written: Path, env: dict[str, str]) -> list[str]:
    """Return the call of `afterglow run`."""
    tool = os.environ.get("AFTERGLOW_REAL_COMMAND", f"{sys.executable} -m afterglow_layer").split()
    call = [*tool, "run", case.handler, "--dir", str(folder), "--json", str(written), *events(case), *case.run]
    if python != Path(sys.executable):
        call += ["--python", str(python)]
    for key, value in env.items():
        call += ["--env", f"{key}={value}"]
    return call


def play(case: Case, services: Services, extra: list[str] | None = None) -> Played:
    """Run one function; raise `MissingPackageError` or `MissingServerError` where that cannot be."""
    python = packages.interpreter()
    installed = packages.installed(python, case.libraries) if case.libraries else None
    packages.CACHE.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=packages.CACHE, prefix="play-")))
        packages.lay_out(installed, case.folder, place / "function")
        found = start_sink(stack, place / "sink.log", case.sink)
        for name in case.services:
            found |= services.environment(name)
        if (case.folder / "service.py").exists():
            found |= start_own(stack, python, case.folder / "service.py", installed)
        env = found | {key: expand(value, found) for key, value in case.env.items()}
        call = [*command(case, python, place / "function", place / "run.json", env), *(extra or [])]
        said = {**os.environ, "COLUMNS": "160"}
        done = subprocess.run(call, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=said)
        written = place / "run.json"
        document = json.loads(written.read_text()) if written.exists() else {}
        arrivals = read_log(place / "sink.log")
    versions = packages.versions(installed) if installed else {}
    return Played(case, document, done.stdout, arrivals, versions, done.stderr)


def expand(value: str, found: dict[str, str]) -> str:
    """Put what the servers are found by into a variable: {SINK}, {SINK_TCP_PORT} …."""
    for key, text in found.items():
        value = value.replace("{" + key + "}", text)
    return value
