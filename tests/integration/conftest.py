"""What the tests with real sandboxes share: `run_function` runs the `afterglow run` command on a handler's source."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

HEEDED = (signal.SIGINT, signal.SIGHUP)


def pytest_configure() -> None:
    """Undo what nohup and a shell's ``&`` have done: commands under test inherit it, and would not be interrupted."""
    for number in HEEDED:
        if signal.getsignal(number) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
            signal.signal(number, signal.default_int_handler)  # Becomes the default in what is started.


COMMAND = [sys.executable, "-m", "afterglow_layer", "run"]
LIMIT_S = 120

_PROBE = "from afterglow_layer.local import inside; inside.enter_namespaces()"


class Finished(NamedTuple):
    """An `afterglow run` that has come to its end."""

    status: int
    document: dict[str, Any]  # empty: the run did not get as far
    output: str
    errors: str

    @property
    def findings(self) -> list[dict[str, Any]]:
        findings: list[dict[str, Any]] = self.document["findings"]
        return findings

    @property
    def calls(self) -> list[dict[str, Any]]:
        """What the caller saw of each invocation."""
        return [invocation["caller"] for invocation in self.document["invocations"]]

    @property
    def answers(self) -> list[Any]:
        return [json.loads(call["answer"]) for call in self.calls]

    def __str__(self) -> str:
        return f"exit status {self.status}\n{self.errors}\n{self.output}\n{json.dumps(self.document, indent=1)}"


RunFunction = Callable[..., Finished]


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Skip where this machine does not let us make a sandbox."""
    probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip("no sandbox can be made here: " + probe.stderr.strip().splitlines()[-1])


@pytest.fixture
def function_dir(tmp_path: Path) -> Path:
    """Give an empty folder for a function."""
    folder = tmp_path / "function"
    folder.mkdir()
    return folder


@pytest.fixture
def run_function(namespaces: None, function_dir: Path, tmp_path: Path) -> RunFunction:
    """Give `run(source, *options)`: write app.py, run `afterglow run app.handler` on it, return what came of it.

    On the whole CPU, unless asked otherwise: at 128 MB a function has a fourteenth of it.
    """

    def run(source: str, *options: str, handler: str = "app.handler") -> Finished:
        (function_dir / "app.py").write_text(textwrap.dedent(source))
        written = tmp_path / "run.json"
        written.unlink(missing_ok=True)
        command = [*COMMAND, handler, "--dir", str(function_dir), "--json", str(written), "--gap", "0.1"]
        command += ["--cpu", "full", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env=environment())
        document = json.loads(written.read_text()) if written.exists() else {}
        return Finished(done.returncode, document, done.stdout, done.stderr)

    return run


def environment() -> dict[str, str]:
    """Return this process's environment, wide enough for a report that is not wrapped."""
    return {**os.environ, "COLUMNS": "160"}
