"""Real functions under RIE, frozen between their invocations: what lingers is found, what does not is not mentioned.

Each bug of ``handlers/lingering.py`` must give exactly one finding with its kind, its call site and its outcome;
each function of ``handlers/clean.py`` must give none.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.integration.pythons import OWN, SUPPORTED, python_of

HANDLERS = Path(__file__).parents[1] / "handlers"
Profile = Callable[..., dict[str, Any]]


class Bug(NamedTuple):
    """What one function of lingering.py must be told about."""

    name: str
    what: str
    outcome: str
    state: str  # a regular expression
    resumed_index: int | None = 2
    reason: str | None = None
    jobs: int = 1


@pytest.fixture
def profile(namespaces: None, tmp_path: Path) -> Profile:
    """Give `profile(handler)`: the document of three invocations of it, frozen for 0.5 s after each."""

    def profiled(
        handler: str, expected_status: int = 0, timeout_s: int = 10, python: str = sys.executable
    ) -> dict[str, Any]:
        written = tmp_path / "run.json"
        command = [
            sys.executable,
            "-m",
            "afterglow_layer",
            "run",
            handler,
            "--dir",
            str(HANDLERS),
            "--gap",
            "0.5",
            "--cpu",
            "full",
            "--python",
            python,
        ]
        # Two of the handlers have a pool of processes, which Lambda has no /dev/shm for.
        command += ["--shm", "host", "--timeout", str(timeout_s), "--json", str(written)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert expected_status == done.returncode, f"{done.stderr}\n{done.stdout}"
        document: dict[str, Any] = json.loads(written.read_text())
        return document

    return profiled


# On a loaded machine the handler can have returned before its thread has begun: that one is running, its job queued.
BUGS = [
    Bug("thread_sleeping", "thread", "resumed", "sleeping|running"),
    Bug("thread_in_socket", "thread", "lost", "in I/O|running", None, "shutdown"),
    Bug("thread_burning", "thread", "resumed", "running|looked idle, then ran on"),
    Bug("thread_from_helper", "thread", "resumed", "sleeping|running"),
    Bug("timer_due", "timer", "resumed", "waiting for its 0.3 s to pass"),
    Bug("timer_far", "timer", "lost", "waiting for its 60 s to pass", None, "shutdown"),
    Bug("executor_running", "executor", "resumed", "1 running, 0 queued|1 queued"),
    Bug("executor_queued", "executor", "resumed", "1 running, 2 queued|3 queued", jobs=3),
    Bug("executor_not_waited_for", "executor", "resumed", "1 running, 0 queued|1 queued"),
    Bug("thread_pool_async", "executor", "resumed", "1 unfinished"),
    Bug("process_pool", "executor", "resumed", "1 running, 0 queued|1 queued"),
    Bug("task_in_stopped_loop", "asyncio-task", "resumed", "pending in a stopped loop, sleeping"),
    Bug("task_never_run_again", "asyncio-task", "lost", "pending in a stopped loop, .*", None, "shutdown"),
    Bug("task_in_other_thread", "asyncio-task", "resumed", "handed to a loop .*|pending in a running loop, .*"),
    Bug("task_cancelled_by_run", "asyncio-task", "lost", "sleeping", None, "cancelled by asyncio.run"),
    Bug("run_in_executor", "executor", "resumed", "1 running, 0 queued|1 queued"),
    Bug("child_program", "process", "resumed", "running"),
    Bug("child_program_for_ever", "process", "lost", "running", reason="shutdown"),
    Bug("child_process", "process", "resumed", "running"),
    Bug("reminder_due", "thread", "resumed", "waiting for at most .* s|running", 2),
    Bug("reminder_far", "thread", "lost", "waiting for at most 60 s|running", None, "shutdown"),
    Bug("order_in_io", "thread", "resumed", "in I/O|running|about to take it"),
    Bug("order_queued", "thread", "resumed", ".*", jobs=2),
    Bug("batch_never_sent", "thread", "lost", "collecting a batch|about to take it", None, "shutdown"),
    Bug("buffer_sent_late", "thread", "resumed", "in a buffer"),
    Bug("raw_thread", "thread", "resumed", "sleeping|running"),
    Bug("forked_child", "process", "resumed", "running"),
    Bug("alarm_due", "alarm", "resumed", "SIGALRM is due in .* s"),
]


def functions_of(module: str) -> list[str]:
    """Return the names of a handler module's functions."""
    source = (HANDLERS / f"{module}.py").read_text()
    return re.findall(r"^def (\w+)\(event, context\)", source, re.MULTILINE)


def line_of(name: str) -> int:
    """Return the line that is marked as the start of this bug's work."""
    lines = (HANDLERS / "lingering.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# started: {name}"))


VERSIONS = [pytest.param(version, marks=() if version == OWN else pytest.mark.slow) for version in SUPPORTED]


@pytest.fixture(params=VERSIONS)
def python(request: pytest.FixtureRequest) -> str:
    """Give each supported interpreter in turn; all but our own only where the slow tests run, as in CI."""
    return python_of(request.param)


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_lingering_work_is_found_with_its_call_site_and_outcome(bug: Bug, profile: Profile, python: str) -> None:
    document = profile(f"lingering.{bug.name}", python=python)

    findings = document["findings"]
    assert [(bug.what, bug.outcome)] == [(f["what"], f["outcome"]) for f in findings], findings
    finding = findings[0]
    assert {"file": str(HANDLERS / "lingering.py"), "line": line_of(bug.name)} == {
        key: finding["where"][key] for key in ("file", "line")
    }
    assert (1, bug.resumed_index) == (finding["request_index"], finding["resumed_index"])
    assert bug.reason == finding["reason"]
    assert bug.jobs == finding["jobs"]
    assert re.fullmatch(bug.state, finding["state"]), finding["state"]


@pytest.mark.parametrize("name", functions_of("clean"))
def test_work_that_is_over_and_workers_that_wait_are_not_mentioned(name: str, profile: Profile, python: str) -> None:
    document = profile(f"clean.{name}", expected_status=1 if name == "raises" else 0, python=python)

    assert [] == document["findings"]
    assert 3 == len(document["invocations"]), document["invocations"]


def test_every_bug_in_the_handlers_has_its_expectation() -> None:
    assert {*functions_of("lingering")} == {bug.name for bug in BUGS} | {"exits_with_thread", "times_out_with_thread"}


def test_frozen_time_is_recognised_and_is_no_part_of_the_time_awake(profile: Profile) -> None:
    document = profile("lingering.thread_sleeping")

    finding = document["findings"][0]
    held_ms = document["invocations"][1]["caller"]["frozen_before_ms"]
    assert held_ms == pytest.approx(finding["frozen_ms"], rel=0.1), "frozen time as measured by the freezer and by us"
    if sys.version_info >= (3, 11):  # before, a sleep that was frozen goes on for what was left of it
        assert finding["wall_ms"] < held_ms, "the freeze was not subtracted"


@pytest.mark.parametrize(
    ("name", "reason", "status"), [("exits_with_thread", "crash", 1), ("times_out_with_thread", "timeout", 1)]
)
def test_work_that_dies_with_the_environment_is_lost_to_what_ended_it(
    name: str, reason: str, status: int, profile: Profile
) -> None:
    document = profile(f"lingering.{name}", expected_status=status, timeout_s=2)

    first = document["findings"][0]
    assert ("thread", "lost", reason, line_of(name)) == (
        first["what"],
        first["outcome"],
        first["reason"],
        first["where"]["line"],
    )
