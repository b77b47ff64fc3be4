"""Real Python processes with the hook's import timing in them, and what they say. For the tests beside this file."""

import json
import os
import shutil
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, NamedTuple

from afterglow.facts import parse_fact

HOOK = Path(__file__).parents[3] / "extension" / "hooks" / "python"
LIMIT_S = 60
NEWEST_MINOR = 13

INVOKE = """\
import importlib, json, os, sys
sys.path[:0] = [{hook!r}, os.getcwd()]
from afterglow_hook import current, imports, wire
assert wire.connect(), "nobody listens"
imports.begin()
app = importlib.import_module("app")
imports.end_of_init()
for index in range(1, {invocations} + 1):
    current.request_id, current.index = "request-%d" % index, index
    app.handler({{"index": index}}, None)
    if imports.watching:
        imports.tell(index)
print(json.dumps(getattr(app, "SAID", None)))
"""
"""What the runtime client does with the hook in it, less the client."""
AS_THE_CLIENT = "import sys; exec(compile(sys.stdin.read(), '/var/runtime/awslambdaric/bootstrap.py', 'exec'))"
"""No call site is looked for above the client."""


class Told(NamedTuple):
    """What one process has told, and what it printed as its last line."""

    facts: list[dict[str, Any]]
    sizes: list[int]  # of the messages, in bytes
    said: Any

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the facts of one kind."""
        return [fact for fact in self.facts if fact["t"] == kind]

    def nodes(self, request_id: str | None = None) -> dict[str, dict[str, Any]]:
        """Return the modules of Init's tree, or of an invocation's, by name; a site as (file name, line)."""
        found: dict[str, dict[str, Any]] = {}
        rows: list[list[Any]] = []
        for fact in self.of("imports"):
            if fact["id"] != request_id:
                continue
            for row in fact["nodes"]:
                rows.append(row)
                name, parent, total, own, others_ns, others, flags, site = row
                found[name] = {
                    "parent": rows[parent][0] if parent >= 0 else None,
                    "total_ms": total / 1e6,
                    "self_ms": own / 1e6,
                    "others_ms": others_ns / 1e6,
                    "others": others,
                    "failed": bool(flags & 1),
                    "native": bool(flags & 2),
                    "site": [(os.path.basename(fact["files"][file]), line) for file, line in site],
                }
        return found


def invoke(
    folder: Path, *, invocations: int = 1, python: str = sys.executable, env: dict[str, str] | None = None
) -> Told:
    """Import ``app`` from the folder in a new process, call its handler so many times, return what it told."""
    address = uuid.uuid4().hex
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(b"\0afterglow/1/" + address.encode())
        listener.listen(1)
        done = subprocess.run(
            [python, "-B", "-c", AS_THE_CLIENT],
            input=INVOKE.format(hook=str(HOOK), invocations=invocations),
            cwd=folder,
            env={"PATH": os.environ["PATH"], "AWS_LAMBDA_RUNTIME_API": address, **(env or {})},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        peer, _ = listener.accept()
        with peer:
            messages = list(iter(lambda: peer.recv(65_536), b""))
    return Told([parse_fact(message) for message in messages], [*map(len, messages)], json.loads(done.stdout))


def run(code: str, folder: Path, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run a script, after ``TIMED`` or nothing, in a new process."""
    return subprocess.run(
        [python, "-B", "-c", code], cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


TIMED = f"""\
import sys
sys.path.insert(0, {str(HOOK)!r})
from afterglow_hook import imports
sys.path.remove({str(HOOK)!r})
imports.begin()
"""
UNTIMED = TIMED.replace("imports.begin()", "").rstrip() + "\n\n"  # the same number of lines: they stand in traces


def interpreters() -> dict[str, str]:
    """Return this Python and those others that are at hand, by version."""
    found = {f"3.{sys.version_info.minor}": sys.executable}
    for minor in range(10, NEWEST_MINOR + 1):
        candidates = [*sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))]
        on_path = shutil.which(f"python3.{minor}")
        for python in [str(path) for path in candidates] + ([on_path] if on_path else []):
            works = subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
            if works:
                found.setdefault(f"3.{minor}", python)
    return found


def with_monitoring() -> str | None:
    """Return a Python of version 3.12 or newer, if there is one."""
    return next((python for version, python in INTERPRETERS.items() if int(version[2:]) >= 12), None)


INTERPRETERS = interpreters()
