"""One execution environment under RIE, as ``afterglow run`` makes it, for a benchmark to call.

In: an arm and a handler. Out: times of calls, records, pids. Nothing freezes here unless a plan says so.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from afterglow.records import Record
from afterglow_layer.failure import Failure
from afterglow_layer.local import session
from afterglow_layer.local.freezer import descendants
from afterglow_layer.local.interpreter import Interpreter, ask
from afterglow_layer.local.invoke import invoke
from afterglow_layer.local.logs import Logs
from afterglow_layer.local.plan import Plan
from afterglow_layer.local.sandbox import Sandbox
from afterglow_layer.rie import find_rie
from bench.arms import Arm

HANDLERS = Path(__file__).parent / "handlers"
CALL_LIMIT_S = 60
ENVIRON = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent", "LANG": "C.UTF-8"}
"""The same for everyone who measures: no settings of the caller's slip in."""


@cache
def this_python() -> Interpreter:
    """Return the interpreter that functions run under: this one."""
    return ask(Path(sys.executable), ENVIRON)


def plan_for(arm: Arm, handler: str = "trivial.handler", directory: Path = HANDLERS) -> Plan:
    """Return a plan for ``arm``: one event, no freezing."""
    return Plan(
        handler=handler,
        directory=directory,
        events=[b"{}"],
        gap_s=0,
        timeout_s=CALL_LIMIT_S,
        memory_mb=512,
        region="us-east-1",
        environ=ENVIRON,
        env=arm.env,
        interpreter=this_python(),
        rie=find_rie(None),
        layer=arm.layer,
        layer_name=arm.name,
        loader="managed",
        freezer="none",
        show=None,
    )


class Environment:
    """RIE with one function, waiting for calls."""

    def __init__(self, sandbox: Sandbox, logs: Logs, records_file: Path) -> None:
        self._sandbox = sandbox
        self._logs = logs
        self._records_file = records_file

    def call(self, event: Mapping[str, Any] | None = None) -> float:
        """Invoke once and return what the caller saw, in ms; Failure if the function did not answer."""
        answer = invoke(self._sandbox.invoke_port, json.dumps(event or {}).encode(), CALL_LIMIT_S)
        if answer.http_status != 200 or answer.body.strip() != b"1":
            raise Failure(f"the function answered {answer.http_status}: {answer.body[:200]!r}\n{self._last()}")
        return answer.took_ms

    def stop(self) -> None:
        """Let it shut down as Lambda does, and wait for that."""
        self._sandbox.stop()

    def records(self) -> list[Record]:
        """Return the records that it has written so far; Failure if one of them is none."""
        records, complaint = session.read_records(self._records_file)
        if complaint:
            raise Failure(complaint)
        return records

    def check(self) -> None:
        """Raise Failure if the agent had something to complain of: then it is not Afterglow that was measured."""
        complaints = [line for line in self._logs.agent if line.startswith("afterglow: ")]
        if complaints:
            raise Failure("\n".join(complaints))

    def _last(self) -> str:
        return "\n".join([*self._logs.function, *self._logs.agent, *self._logs.rie][-8:])


@contextmanager
def started(plan: Plan) -> Iterator[Environment]:
    """Give an environment that has not been called yet; nothing is left of it afterwards."""
    run_dir = Path(tempfile.mkdtemp(prefix="afterglow-bench-"))
    records_file = run_dir / "records.ndjson"
    sandbox, logs = session.start(plan, run_dir, records_file)
    environment = Environment(sandbox, logs, records_file)
    try:
        yield environment
    finally:
        sandbox.close()
        logs.finish()
    environment.check()


def extension_pid(sign: str = "afterglow.boot.main(") -> int:
    """Return the pid of the one extension below this process; ``sign`` stands in its command line."""
    return _the_pid("extension", lambda words: any(sign in word for word in words))


def on_cpu_ns(pid: int) -> int:
    """Return how long a process's first thread has been on a CPU, sched-stats.rst."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def runtime_pid() -> int:
    """Return the pid of the one function's process below this one."""
    return _the_pid("runtime", lambda words: words[1].endswith("/runtime_bootstrap.py"))


def _the_pid(what: str, fits: Any) -> int:
    found = []
    for pid in descendants(os.getpid()):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").strip("\0").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue  # It left between listing and reading.
        if len(words) > 1 and fits(words):
            found.append(pid)
    if len(found) != 1:
        raise Failure(f"{len(found)} processes look like the {what}, not one")
    return found[0]


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Keep this process, and all that it starts meanwhile, on ``count`` cores, as ``taskset -c`` does."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
