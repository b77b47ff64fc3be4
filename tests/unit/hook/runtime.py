"""What the tests of the hook stand on: a runtime's process, and a listener that plays the extension."""

import contextlib
import importlib.util
import itertools
import json
import os
import select
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import afterglow_hook
from afterglow.boot import hook_address
from afterglow.facts import parse_fact

LIMIT_S = 30.0
MAIN = Path(__file__).with_name("runtime_main.py")
HOOK_ROOT = Path(afterglow_hook.__file__).parents[1]
RUNTIME_CLIENT = ("awslambdaric", "simplejson", "snapshot_restore_py")
_numbers = itertools.count()


def find_pythons() -> dict[str, str]:
    """Return the interpreters of this machine by version: our own, those on the PATH and pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found = {}
    for minor in range(10, 15):
        version = f"3.{minor}"
        on_path = [Path(folder, f"python{version}") for folder in os.get_exec_path()]
        for python in (*sorted(pyenv.glob(f"{version}.*/bin/python{version}")), *on_path):
            if os.access(python, os.X_OK) and ".pyenv/shims" not in str(python):
                found.setdefault(version, str(python))
    return {**found, f"3.{sys.version_info.minor}": sys.executable}


def link_runtime_client(folder: Path) -> None:
    """Put the runtime client alone into a folder: pure Python, so that every interpreter can use it."""
    for name in RUNTIME_CLIENT:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        (folder / name).symlink_to(Path(spec.origin).parent)


class Extension:
    """Plays the extension: takes every hook in, keeps every fact."""

    def __init__(self) -> None:
        self.address = f"hook-{os.getpid()}-{next(_numbers)}"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(hook_address(self.address))
        self.listener.listen()
        self.hooks: list[socket.socket] = []
        self.facts: list[dict[str, Any]] = []

    def _read_once(self) -> None:
        ready, _, _ = select.select([self.listener, *self.hooks], [], [], LIMIT_S)
        assert ready, f"the hook says no more; it has said {self.facts[-5:]}"
        for source in ready:
            if source is self.listener:
                self.hooks.append(self.listener.accept()[0])
                continue
            message = source.recv(65_536)
            if message:
                self.facts.append(parse_fact(message))
            else:
                self.hooks.remove(source)
                source.close()

    def read_what_is_there(self) -> None:
        """Read until the sockets are empty."""
        while select.select([self.listener, *self.hooks], [], [], 0)[0]:
            self._read_once()

    def until(self, kind: str, **fields: object) -> dict[str, Any]:
        """Return the first fact of this kind with these fields, waiting for it if need be."""
        looked_at = 0
        while True:
            for fact in self.facts[looked_at:]:
                if fact["t"] == kind and all(fact[name] == value for name, value in fields.items()):
                    return fact
                assert fact["t"] != "gave-up", f"the hook gave up ({fact['error']}) while {kind} was awaited"
            looked_at = len(self.facts)
            self._read_once()

    def hang_up(self) -> None:
        self.listener.close()
        for hook in self.hooks:
            hook.close()
        self.hooks.clear()


class Runtime:
    """A runtime's process that runs a function."""

    def __init__(self, folder: Path, client: Path, python: str = sys.executable, **options: Any) -> None:
        self.extension: Extension | None = options.get("extension")
        self.app = folder / "app.py"
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        variables = {
            "_HANDLER": "app.handler",
            "AWS_LAMBDA_RUNTIME_API": self.extension.address if self.extension else "nobody-there",
            "LAMBDA_TASK_ROOT": str(folder),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{client}:{HOOK_ROOT}:{folder}",
            "PYTHONDONTWRITEBYTECODE": "1",
            **({"WITH_HOOK": "1"} if options.get("hook", True) else {}),
            **options.get("env", {}),
        }
        self.process = subprocess.Popen(
            [python, str(MAIN), str(commands), str(answers)],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[commands, answers],
            start_new_session=True,
        )
        os.close(commands)
        os.close(answers)
        self._reader = os.fdopen(self._answers, encoding="utf-8")
        self._ended: tuple[str, str] | None = None
        self.requests = 0
        self._told = 0  # so many facts have been returned by ``found``
        self.first = self.answer()

    def answer(self) -> dict[str, Any]:
        """Return the next answer."""
        ready, _, _ = select.select([self._reader], [], [], LIMIT_S)
        line = self._reader.readline() if ready else ""
        if not line:
            raise AssertionError(f"the runtime has not answered: {self.end()}")
        parsed: dict[str, Any] = json.loads(line)
        return parsed

    def send(self, event: object = None, **more: object) -> str:
        """Begin an invocation; return its request id. ``more``: the event's ``body`` as it comes, and ``headers``."""
        self.requests += 1
        command = json.dumps({"id": f"r-{self.requests}", "event": event, **more}) + "\n"
        os.write(self._commands, command.encode())
        return f"r-{self.requests}"

    def invoke(self, event: object = None, **more: object) -> dict[str, Any]:
        """Run one invocation; with an extension, wait until the hook has told of its return."""
        request_id = self.send(event, **more)
        answer = self.answer()
        if self.extension is not None:
            self.extension.until("returned", id=request_id)
        return answer

    def found(self, event: object = None) -> list[dict[str, Any]]:
        """Run one invocation; return the works that the hook found in it: lingering ones, then cancelled ones."""
        assert self.extension is not None
        request_id = self.send(event)
        answer = self.answer()
        assert "error" not in answer, answer
        last = self.extension.until("returned", id=request_id)
        facts = self.extension.facts[self._told : self.extension.facts.index(last)]
        self._told += len(facts)
        told = [fact for fact in facts if fact["t"] == "found"]
        return [work for fact in told for work in [*fact["new"], *fact["lost"]]]

    def end(self) -> tuple[str, str]:
        """End the environment, and all that the function has started; return its stdout and stderr."""
        if self._ended is None:
            os.close(self._commands)
            try:
                self.process.wait(LIMIT_S)
            finally:
                with contextlib.suppress(ProcessLookupError):  # nothing was left behind
                    os.killpg(self.process.pid, 9)
                out, errors = self.process.communicate()
                self._reader.close()
                self._ended = out.decode(), errors.decode()
        return self._ended

    def line(self, mark: str) -> int:
        """Return the number of the line of the function that ends in this comment."""
        lines = self.app.read_text().splitlines()
        return 1 + next(number for number, line in enumerate(lines) if line.endswith("# " + mark))


def write_app(folder: Path, source: str) -> None:
    """Write a function: a whole module, or the body of its handler."""
    source = textwrap.dedent(source).strip("\n")
    if "def handler" not in source:
        source = "def handler(event, context):\n" + textwrap.indent(source, "    ")
    (folder / "app.py").write_text(source + "\n")
