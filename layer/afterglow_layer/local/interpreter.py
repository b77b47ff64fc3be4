"""The Python that runs the function.

In: ``--python`` and the function's folder. Out: an Interpreter that has been asked what it is. The first of:
the one asked for, the function's own ``.venv`` if the client is in it, the one that runs this command.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from afterglow_layer.failure import Failure, usage

ANSWER_LIMIT_S = 60
OLDEST_MINOR = 10

_ASK = """
import importlib.util, json, os, sys
print(json.dumps({
    "path": sys.executable,
    "base": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "version": "%d.%d" % sys.version_info[:2],
    "build": sys.version,
    "has_client": importlib.util.find_spec("awslambdaric") is not None,
}))
"""


class Interpreter(NamedTuple):
    """A Python, as it describes itself."""

    path: str  # to run the function with; in a virtual environment, its link
    base: str  # the real file: what the extension runs under, as it needs no packages
    version: str  # 3.11
    build: str  # its version, to the build and the compiler
    has_client: bool  # awslambdaric can be imported

    @property
    def minor(self) -> int:
        """The 11 of 3.11."""
        return int(self.version.partition(".")[2])


def find_interpreter(asked: str | None, directory: Path, env: Mapping[str, str]) -> Interpreter:
    """Return the Python to run the function with; Failure where it lacks the runtime client."""
    if asked:
        if not Path(asked).is_file():
            raise usage(f"--python {asked}: no such file")
        return _fit(ask(Path(asked), env))
    own = directory / ".venv" / "bin" / "python"
    if own.exists():
        found = ask(own, env)
        if found.has_client:
            return found
    return _fit(ask(Path(sys.executable), env))


def ask(python: Path, env: Mapping[str, str]) -> Interpreter:
    """Run ``python`` to learn what it is."""
    # Absolute but not resolved: through its link, an environment's Python finds its packages.
    command = [str(python.absolute()), "-c", _ASK]
    try:
        done = subprocess.run(
            command, env=dict(env), capture_output=True, text=True, timeout=ANSWER_LIMIT_S, check=True
        )
        return Interpreter(**json.loads(done.stdout))
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no output"])[-1]
        raise Failure(f"{python} does not work as a Python interpreter: {last}") from None
    except (OSError, ValueError, TypeError, subprocess.TimeoutExpired) as error:
        raise Failure(f"{python} does not work as a Python interpreter: {error}") from None


def _fit(found: Interpreter) -> Interpreter:
    if found.minor < OLDEST_MINOR:
        raise Failure(f"{found.path} is Python {found.version}; Afterglow needs 3.{OLDEST_MINOR} or newer")
    if not found.has_client:
        raise Failure(
            f"{found.path} lacks awslambdaric, the client that Lambda's Python runtimes run handlers with.\n"
            f"Install it there: {found.path} -m pip install awslambdaric"
        )
    return found
