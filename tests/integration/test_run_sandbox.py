"""The sandbox of `afterglow run`: what is frozen, what the function sees, what is left behind."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from tests.integration.conftest import COMMAND, RunFunction, environment

T = TypeVar("T")

pytestmark = pytest.mark.usefixtures("namespaces")

ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]
FREEZERS = ["cgroup-v2", "cgroup-v1", "sigstop"]
FREEZER_NAMES = {"cgroup-v2": "cgroup v2", "cgroup-v1": "cgroup v1", "sigstop": "SIGSTOP"}

TICKS = """
    import threading, time
    ticks = 0
    def tick():
        global ticks
        while True:
            ticks += 1
            time.sleep(0.01)
    threading.Thread(target=tick, daemon=True).start()
    def handler(event, context):
        return ticks
"""


@pytest.mark.parametrize("freezer", FREEZERS)
def test_a_thread_does_not_move_while_the_sandbox_is_frozen(run_function: RunFunction, freezer: str) -> None:
    run = run_function(TICKS, "--freezer", freezer, "--gap", "1", "--repeat", "2")
    first, second = run.answers

    assert FREEZER_NAMES[freezer] == run.document["run"]["freezer"] or freezer != "sigstop", run
    assert second - first < 50, run  # In 1 s awake it would be about 100.


def test_a_thread_moves_when_freezing_is_off(run_function: RunFunction) -> None:
    run = run_function(TICKS, "--freezer", "none", "--gap", "1", "--repeat", "2")
    first, second = run.answers

    assert second - first >= 50, run


def test_the_time_frozen_is_reported_for_the_invocation_that_follows(run_function: RunFunction) -> None:
    run = run_function(TICKS, "--gap", "0.3", "--repeat", "2")
    before_first, before_second = (call["frozen_before_ms"] for call in run.calls)

    assert before_first == 0
    assert 300 <= before_second < 3000, run


def test_the_function_sees_its_environment_as_on_lambda(run_function: RunFunction, function_dir: Path) -> None:
    source = """
        import os
        def handler(event, context):
            names = ["_HANDLER", "LAMBDA_TASK_ROOT", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME",
                     "AWS_REGION", "TABLE", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST"]
            return {name: os.environ[name] for name in names if name in os.environ}
    """
    run = run_function(source, "--memory", "256", "--timeout", "9", "--env", "TABLE=orders", "--region", "eu-west-3")
    (seen, *_) = run.answers

    assert seen == {
        "_HANDLER": "app.handler",
        "LAMBDA_TASK_ROOT": str(function_dir),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_NAME": "local",
        "AWS_REGION": "eu-west-3",
        "TABLE": "orders",
    }


def test_the_function_sees_no_process_but_its_own(run_function: RunFunction) -> None:
    source = """
        import os
        def handler(event, context):
            return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    """
    run = run_function(source, "--repeat", "1")

    assert len(run.answers[0]) < 10, run


def test_the_layer_is_read_only_and_the_hosts_opt_stays_reachable(run_function: RunFunction) -> None:
    source = """
        import os
        def handler(event, context):
            try:
                open("/opt/afterglow/new", "w")
            except OSError as error:
                return [os.strerror(error.errno), sorted(os.listdir("/opt")), os.listdir("/opt/extensions")]
    """
    run = run_function(source, "--repeat", "1")
    error, listed, extensions = run.answers[0]

    assert error == "Read-only file system"
    layers = {"afterglow", "afterglow-exec", "extensions", "python"}
    assert {*layers, ".extensions", *os.listdir("/opt")} == set(listed)
    assert extensions == ["afterglow"]


def test_without_the_layer_there_are_answers_and_no_findings(run_function: RunFunction) -> None:
    source = """
        import os
        def handler(event, context):
            return os.path.exists("/opt/afterglow")
    """
    run = run_function(source, "--no-layer")

    assert run.status == 0, run
    assert run.answers == [False, False, False]
    assert run.findings == []


def test_each_invocation_has_the_request_id_that_the_function_saw(run_function: RunFunction) -> None:
    run = run_function("def handler(event, context): return context.aws_request_id")

    assert run.answers == [invocation["request_id"] for invocation in run.document["invocations"]]


def test_the_wrapper_installs_the_hook_and_leaves_pythonpath_as_it_was(run_function: RunFunction) -> None:
    source = """
        import os, sys
        def handler(event, context):
            return [os.environ.get("PYTHONPATH"), "afterglow_hook" in sys.modules,
                    "/opt/afterglow/wrap" in sys.path]
    """
    run = run_function(source, "--loader", "wrapper", "--env", "PYTHONPATH=/nowhere", "--repeat", "1")

    assert run.answers == [["/nowhere", True, False]]


def test_the_managed_loader_installs_the_hook_through_the_pth_file(run_function: RunFunction) -> None:
    source = """
        import sys
        def handler(event, context):
            return ["afterglow_hook" in sys.modules, sys.path.index("/opt/python") > 0]
    """
    run = run_function(source, "--repeat", "1")

    assert run.answers == [[True, True]]


def test_with_pythonpath_set_the_pth_files_of_the_function_are_read_and_the_layers_are_not(
    run_function: RunFunction, function_dir: Path
) -> None:
    """As the managed runtimes' bootstrap does; the exec wrapper is there for this case."""
    (function_dir / "own.pth").write_text("import sys; sys.modules['own_pth'] = sys\n")
    source = """
        import sys
        def handler(event, context):
            return ["own_pth" in sys.modules, "afterglow_hook" in sys.modules, "/opt/python" in sys.path]
    """
    run = run_function(source, "--env", "PYTHONPATH=/nowhere", "--repeat", "1")

    assert run.answers == [[True, False, False]]


def test_a_user_namespace_does_where_root_may_not_mount(run_function: RunFunction, function_dir: Path) -> None:
    (function_dir / "app.py").write_text("def handler(event, context): return 1")
    without = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    command = [*without, *COMMAND, "app.handler", "--dir", str(function_dir), "--gap", "0"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    if "does not let Afterglow make a sandbox" in done.stderr:
        pytest.skip(done.stderr.splitlines()[0])

    assert done.returncode == 0, done.stderr


def test_runs_at_the_same_time_do_not_meet(function_dir: Path) -> None:
    (function_dir / "app.py").write_text("import os\ndef handler(event, context): return os.environ['NAME']")
    runs = [
        subprocess.Popen(
            [*COMMAND, "app.handler", "--dir", str(function_dir), "--env", f"NAME={name}", "--json", "-", "--gap", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        for name in "abc"
    ]
    documents = [json.loads(run.communicate()[0]) for run in runs]

    assert [[invocation["caller"]["answer"] for invocation in document["invocations"]] for document in documents] == [
        ['"a"'] * 3,
        ['"b"'] * 3,
        ['"c"'] * 3,
    ]


@pytest.mark.parametrize("freezer", [*FREEZERS, "none"])
@pytest.mark.parametrize("number", ENDS, ids=lambda number: number.name)
def test_nothing_is_left_behind(function_dir: Path, tmp_path: Path, number: signal.Signals, freezer: str) -> None:
    """No process, folder or cgroup, whichever way the command ends, in the middle of a freeze or of a handler."""
    (function_dir / "app.py").write_text("def handler(event, context): print('answered', flush=True)")
    command = [*COMMAND, "app.handler", "--dir", str(function_dir), "--freezer", freezer, "--gap", "60", "--logs"]
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    run = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env={**environment(), "TMPDIR": str(scratch)}
    )
    assert run.stderr
    assert b"answered" in b"".join(iter_until(run.stderr.readline, b"answered"))
    family = wait_for(lambda: psutil.Process(run.pid).children(recursive=True))
    run.send_signal(number)
    output, _ = run.communicate(timeout=60)

    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    wait_for(lambda: not list(scratch.iterdir()))
    wait_for(lambda: not cgroups_of(family))
    assert run.returncode == (-9 if number == signal.SIGKILL else 130)
    if number != signal.SIGKILL:
        assert b"app.handler" in output  # The report of what was seen until then.


def iter_until(read: Callable[[], bytes], wanted: bytes) -> "list[bytes]":
    lines = []
    for line in iter(read, b""):
        lines.append(line)
        if wanted in line:
            break
    return lines


def wait_for(look: Callable[[], T], limit_s: float = 20) -> T:
    give_up = time.monotonic() + limit_s
    while not (seen := look()):
        assert time.monotonic() < give_up, f"still {seen!r} after {limit_s} s"
        time.sleep(0.01)
    return seen


def cgroups_of(family: "list[psutil.Process]") -> "list[Path]":
    names = {f"afterglow-{process.pid}" for process in family}
    return [path for path in Path("/sys/fs/cgroup").glob("**/afterglow-*") if path.name in names]
