"""What `afterglow run` holds a function to: memory, CPU, /tmp, the time for Init, and how long an environment lives."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.integration.conftest import COMMAND, RunFunction, environment
from tests.integration.test_run_sandbox import cgroups_of, iter_until, wait_for

from afterglow_layer.cli import build_parser
from afterglow_layer.local import planning, session

pytestmark = pytest.mark.usefixtures("namespaces")

HANDLERS = Path(__file__).parents[1] / "handlers"

BURNS = """
    import time
    def handler(event, context):
        began, until = time.perf_counter(), time.process_time() + 0.1
        while time.process_time() < until:
            pass
        return time.perf_counter() - began
"""
"""Takes 0.1 s of CPU; answers how long that took."""


def limit(document: dict[str, Any], name: str) -> str:
    """Return the sentence that begins with `name`."""
    (sentence,) = [line for line in document["run"]["limits"] if line.startswith(f"{name}: ")]
    return sentence


def need_cgroup(document: dict[str, Any], name: str) -> None:
    """Skip where this machine lets nobody limit that."""
    if "by cgroup" not in limit(document, name):
        pytest.skip(limit(document, name))


@pytest.mark.parametrize("options", [[], ["--loader", "wrapper"]], ids=["managed", "wrapper"])
def test_a_function_that_eats_memory_is_killed_for_it_and_the_extension_lives_to_tell(
    tmp_path: Path, options: list[str]
) -> None:
    written = tmp_path / "run.json"
    command = [*COMMAND, "endings.eats_memory", "--dir", str(HANDLERS), "--memory", "128", "--repeat", "2"]
    command += ["--gap", "0", "--cpu", "full", "--json", str(written), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment())
    document = json.loads(written.read_text())
    need_cgroup(document, "memory")

    assert [("out-of-memory", 1), ("out-of-memory", 1)] == [
        (ending["status"], ending["oom_kills"]) for ending in document["endings"]
    ], done.stdout
    assert [1, 2] == [invocation["environment"] for invocation in document["invocations"]]
    assert all(entry["shutdown"] for entry in document["environments"]), done.stdout
    assert "Invocations #1 and #2 were killed for their memory, at 128 MB" in done.stdout


def test_a_function_within_its_memory_is_left_alone_however_much_page_cache_it_makes(run_function: RunFunction) -> None:
    source = """
        def handler(event, context):
            with open("/tmp/big", "wb") as file:
                for _ in range(200):
                    file.write(bytes(1 << 20))
            return "fine"
    """
    run = run_function(source, "--repeat", "1", "--memory", "128")

    assert ["fine"] == run.answers, run


def test_where_no_cgroup_may_be_made_more_data_than_the_memory_size_is_a_memory_error(
    function_dir: Path, tmp_path: Path
) -> None:
    """The same command, in a mount namespace where cgroups cannot be written."""
    (function_dir / "app.py").write_text("def handler(event, context): return len(bytearray(200 << 20))")
    written = tmp_path / "run.json"
    read_only = (
        "mount --make-rprivate / && for at in /sys/fs/cgroup $(ls -d /sys/fs/cgroup/*/); do "
        'if mountpoint -q "$at"; then mount -o remount,bind,ro "$at"; fi; done && exec "$@"'
    )
    command = ["unshare", "-m", "sh", "-c", read_only, "sh", *COMMAND, "app.handler", "--dir", str(function_dir)]
    command += ["--repeat", "1", "--json", str(written)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment())
    if not written.exists():
        pytest.skip(f"no mount namespace with read-only cgroups here: {done.stderr[:200]}")
    document = json.loads(written.read_text())

    assert "MemoryError" == document["invocations"][0]["caller"]["error_type"], done.stdout
    assert "RLIMIT_DATA" in limit(document, "memory")
    assert limit(document, "CPU").startswith("CPU: not limited ("), done.stdout
    assert "SIGSTOP" == document["run"]["freezer"]


def test_a_quarter_of_a_core_takes_about_four_times_as_long(run_function: RunFunction) -> None:
    shared = run_function(BURNS, "--memory", "442", "--cpu", "share", "--gap", "0")
    need_cgroup(shared.document, "CPU")
    whole = run_function(BURNS, "--memory", "442", "--cpu", "full", "--gap", "0")

    times = f"{shared.answers} s on a quarter of a core, {whole.answers} s on all of it"
    assert min(shared.answers) > 0.25, times  # 0.4 s, less what a period lets through at once; a busy machine adds.
    assert min(whole.answers) < 0.75 * min(shared.answers), times
    assert "25.0% of a core" in limit(shared.document, "CPU")
    assert "CPU: not limited (--cpu full)" == limit(whole.document, "CPU")


@pytest.mark.parametrize("emulator", ["rie", "builtin"])
def test_init_has_the_whole_cpu_in_every_environment(run_function: RunFunction, emulator: str) -> None:
    source = """
        import time
        began, until = time.perf_counter(), time.process_time() + 0.2
        while time.process_time() < until:
            pass
        took = time.perf_counter() - began
        def handler(event, context):
            return took
    """
    run = run_function(source, "--cpu", "share", "--repeat", "2", "--cold-every", "1", "--emulator", emulator)
    need_cgroup(run.document, "CPU")

    assert max(run.answers) < 1.4, f"Inits with 0.2 s of CPU took {run.answers} s: at 128 MB, 2.8 s would be its share"


def test_a_new_environment_comes_up_every_n_invocations(run_function: RunFunction) -> None:
    source = """
        calls = 0
        def handler(event, context):
            global calls
            calls += 1
            return calls
    """
    run = run_function(source, "--repeat", "5", "--cold-every", "2")

    assert run.status == 0, run
    assert [1, 2, 1, 2, 1] == run.answers
    assert [1, 1, 2, 2, 3] == [invocation["environment"] for invocation in run.document["invocations"]]
    assert [True, False, True, False, True] == [invocation["cold"] for invocation in run.document["invocations"]]
    assert [1, 2, 3] == [entry["environment"] for entry in run.document["environments"]]
    assert all(entry["init"] and entry["shutdown"] for entry in run.document["environments"]), run


def test_provisioned_concurrency_initialises_ahead_of_the_first_invocation(run_function: RunFunction) -> None:
    source = """
        import os, time
        time.sleep(0.3)
        imported_at_ms = time.time() * 1000
        def handler(event, context):
            return [imported_at_ms, os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]]
    """
    run = run_function(source, "--provisioned", "--emulator", "builtin", "--repeat", "1")
    imported_at_ms, told = run.answers[0]

    (first,) = run.document["invocations"]

    assert imported_at_ms < run.calls[0]["sent_at_ms"], run
    assert first["duration_ms"] < 300 <= run.document["init"]["init_ms"], run
    assert first["caller"]["took_ms"] < 300, run
    assert "provisioned-concurrency" == told
    assert "provisioned-concurrency" == run.document["environments"][0]["init_type"]


def test_under_rie_provisioned_concurrency_is_told_to_the_function_and_its_limits_to_the_user(
    run_function: RunFunction,
) -> None:
    source = "import os\ndef handler(event, context): return os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']"
    run = run_function(source, "--provisioned", "--repeat", "1")

    assert ["provisioned-concurrency"] == run.answers
    assert "not enforced: RIE runs Init inside the first invocation" in limit(run.document, "provisioned concurrency")


def test_the_built_in_emulator_stands_in_for_rie_and_brings_telemetry(run_function: RunFunction) -> None:
    run = run_function("def handler(event, context): return 1", "--emulator", "builtin", "--cpu", "full")

    assert run.answers == [1, 1, 1], run
    assert run.document["run"]["rie"] == "built-in emulator"
    assert run.document["losses"]["telemetry"]["seen"] > 0, run


def test_an_init_past_its_limit_has_the_runtime_killed_and_is_a_timeout(function_dir: Path) -> None:
    (function_dir / "app.py").write_text("import time\ntime.sleep(60)\ndef handler(event, context): return 1")
    asked = ["run", "app.handler", "--dir", str(function_dir), "--repeat", "1", "--gap", "0", "--timeout", "60"]
    plan = planning.make_plan(build_parser().parse_args(asked))
    done = session.run(plan._replace(init_limit_s=1.0))
    (call,) = done.facts.calls

    assert ("timeout", "Sandbox.Timedout") == (call.outcome, call.error_type)
    assert 1000 <= call.took_ms < 20_000
    assert "Init: 1 s at most; 1 took longer and had the runtime killed" in done.facts.limits


def test_tmp_is_the_functions_own_and_512_mb(run_function: RunFunction) -> None:
    name = f"afterglow-test-{os.getpid()}"
    source = f"""
        import os
        def handler(event, context):
            there = os.path.exists("/tmp/{name}")
            with open("/tmp/{name}", "wb") as file:
                try:
                    os.posix_fallocate(file.fileno(), 0, 500 << 20)
                    os.posix_fallocate(file.fileno(), 0, 600 << 20)
                except OSError as error:
                    return [there, error.errno]
    """
    run = run_function(source, "--repeat", "2", "--cold-every", "1")
    if "512 MB" not in limit(run.document, "/tmp"):
        pytest.skip(limit(run.document, "/tmp"))

    assert [[False, errno.ENOSPC]] * 2 == run.answers, run
    assert not Path("/tmp", name).exists()
    first = run.document["invocations"][0]
    assert first["tmp_bytes"] > 400 << 20, "what the function keeps in /tmp is what its record says"


def test_the_hosts_tmp_is_there_when_asked_for(run_function: RunFunction, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("seen")
    source = f"def handler(event, context): return open({str(tmp_path / 'outside')!r}).read()"

    assert ["seen"] == run_function(source, "--tmp", "host", "--repeat", "1").answers
    assert "FileNotFoundError" == run_function(source, "--repeat", "1").calls[0]["error_type"]


def test_a_third_party_extension_is_held_by_the_same_limits(function_dir: Path, tmp_path: Path) -> None:
    """It finds itself where it would on Lambda, by its name and beside its files."""
    layer = tmp_path / "layer"
    (layer / "extensions").mkdir(parents=True)
    (layer / "data").write_text("beside\n")
    extension = layer / "extensions" / "other"
    extension.write_text(
        '#!/bin/sh\necho "name $(basename "$0")" "$(cat "$(dirname "$0")/../data")"\n'
        'echo "groups $(grep memory /proc/self/cgroup)"\nexec /bin/sh /opt/bare-loop.sh quiet\n'
    )
    extension.chmod(0o755)
    bare_loop = Path(planning.__file__).parents[1] / "opt" / "afterglow" / "bare-loop.sh"
    (layer / "bare-loop.sh").write_text(bare_loop.read_text().replace("afterglow", "other"))
    (function_dir / "app.py").write_text(
        "def handler(event, context):\n    print('groups', open('/proc/self/cgroup').read().replace(chr(10), ' '))\n"
    )
    asked = ["run", "app.handler", "--dir", str(function_dir), "--repeat", "1", "--gap", "0"]
    plan = planning.make_plan(build_parser().parse_args(asked))
    done = session.run(plan._replace(layer=layer))
    need_cgroup({"run": {"limits": done.facts.limits}}, "memory")
    lines = done.facts.logs

    assert ["ok"] == [call.outcome for call in done.facts.calls], lines
    assert "name other beside" in lines
    (of_extension,) = [line.split()[1] for line in lines if line.startswith("groups") and len(line.split()) == 2]
    (of_function,) = [line.split()[1:] for line in lines if line.startswith("groups") and len(line.split()) > 2]
    assert of_extension in of_function


def test_what_a_killed_keeper_left_goes_with_the_next_run(function_dir: Path, tmp_path: Path) -> None:
    (function_dir / "app.py").write_text("def handler(event, context): print('answered', flush=True)")
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    surroundings = {**environment(), "TMPDIR": str(scratch)}
    command = [*COMMAND, "app.handler", "--dir", str(function_dir), "--logs"]
    first = subprocess.Popen(
        [*command, "--gap", "60"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=surroundings
    )
    assert first.stderr
    iter_until(first.stderr.readline, b"answered")
    (keeper,) = psutil.Process(first.pid).children()
    family = [keeper, *keeper.children(recursive=True)]
    wait_for_freeze(family)
    for process in (keeper, psutil.Process(first.pid)):
        process.send_signal(signal.SIGKILL)
    first.communicate()
    keeper.wait()
    assert list(scratch.iterdir()), "the keeper was to leave something"
    left = cgroups_of([keeper])

    subprocess.run([*command, "--gap", "0"], check=True, capture_output=True, env=surroundings)

    assert [] == cgroups_of([keeper]), f"of {left}"
    assert [] == list(scratch.iterdir())
    _, alive = psutil.wait_procs(family, timeout=20)
    assert [] == alive


def wait_for_freeze(family: list[psutil.Process]) -> None:
    """Wait until the cgroup of the sandbox is frozen, if one does it."""
    for group in cgroups_of(family):
        if (group / "cgroup.events").exists():
            wait_for(is_frozen(group))


def is_frozen(group: Path) -> Callable[[], bool]:
    return lambda: "frozen 1" in (group / "cgroup.events").read_text()


def test_options_that_contradict_each_other_are_refused(function_dir: Path) -> None:
    (function_dir / "app.py").write_text("def handler(event, context): return 1")
    for options, words in {
        ("--emulator", "builtin", "--rie", sys.executable): "one or the other",
        ("--memory", "64"): "from 128 to 10240",
    }.items():
        command = [*COMMAND, "app.handler", "--dir", str(function_dir), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())

        assert done.returncode == 2
        assert words in done.stderr
