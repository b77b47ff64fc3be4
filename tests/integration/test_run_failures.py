"""What goes wrong in a local run: each case has its message, its exit status, and the report of what was seen."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.integration.conftest import COMMAND, RunFunction, environment

RAISES = "def handler(event, context): raise ValueError('boo')"
EXITS = "import os\ndef handler(event, context): os._exit(3)"
SLEEPS = "import time\ndef handler(event, context): time.sleep(30)"


@pytest.mark.parametrize(
    ("source", "handler", "outcome", "error_type"),
    [
        (RAISES, "app.handler", "error", "ValueError"),
        (EXITS, "app.handler", "crash", "Runtime.ExitError"),
        (SLEEPS, "app.handler", "timeout", "Sandbox.Timedout"),
        ("import nothing_of_that_name", "app.handler", "error", "Runtime.ImportModuleError"),
        ("1 +", "app.handler", "error", "Runtime.UserCodeSyntaxError"),
        ("", "app.handler", "error", "Runtime.HandlerNotFound"),
        ("", "other.handler", "error", "Runtime.ImportModuleError"),
    ],
    ids=["raises", "exits", "times out", "does not import", "is no Python", "is missing", "module is missing"],
)
def test_a_failing_function_fails_the_run_and_is_reported(
    run_function: RunFunction, source: str, handler: str, outcome: str, error_type: str
) -> None:
    run = run_function(source, "--timeout", "1", "--repeat", "2", handler=handler)

    assert run.status == 1, run
    assert [(call["outcome"], call["error_type"]) for call in run.calls] == [(outcome, error_type)] * 2, run
    assert "✗" in run.output, run
    assert "#2" in run.output, run


MOST = 6_291_556

ANSWERS = """
    def handler(event, context):
        return {"text": event["character"] * event["times"]}
"""


@pytest.mark.parametrize("emulator", ["rie", "builtin"])
@pytest.mark.parametrize(("character", "times"), [("x", 7_000_000), ("\u00e9", 1_048_600), ("x", MOST - 11)])
def test_an_answer_that_is_too_large_is_an_error_that_nobody_raised(
    run_function: RunFunction, tmp_path: Path, emulator: str, character: str, times: int
) -> None:
    """A character that is not ASCII counts as the six that JSON writes it with."""
    records = tmp_path / "records.ndjson"
    large, small = (json.dumps({"character": character, "times": number}) for number in (times, 1))
    asked = ["--event", large, "--event", small, "--emulator", emulator, "--memory", "512"]
    run = run_function(ANSWERS, *asked, "--records", str(records))
    too_large = ("error", "Function.ResponseSizeTooLarge")
    told = [json.loads(line) for line in records.read_text().splitlines()]

    assert too_large == outcome_of(run.document["invocations"][0]) == outcome_of(run.calls[0]), run
    assert too_large == next(outcome_of(record) for record in told if record["afterglow"] == "invocation")
    assert ("ok", None) == outcome_of(run.document["invocations"][1]), run
    assert "#1 answered with more than Lambda takes" in run.output, run
    assert "the limit is 6,291,556, or 6 MB" in run.output, run
    assert "#1 raised" not in run.output
    assert "presigned URL" in run.output


@pytest.mark.parametrize("emulator", ["rie", "builtin"])
def test_the_largest_answer_that_lambda_takes_is_fine(run_function: RunFunction, emulator: str) -> None:
    event = json.dumps({"character": "x", "times": MOST - 12})  # and what JSON puts around it
    run = run_function(ANSWERS, "--event", event, "--emulator", emulator, "--memory", "512")

    assert ("ok", None) == outcome_of(run.document["invocations"][0]) == outcome_of(run.calls[0]), run


def outcome_of(entry: dict[str, Any]) -> tuple[str, str | None]:
    return entry.get("outcome") or entry["status"], entry["error_type"]


def test_the_built_in_emulator_tells_how_large_it_was(run_function: RunFunction) -> None:
    event = json.dumps({"character": "x", "times": 7_000_000})
    run = run_function(ANSWERS, "--event", event, "--emulator", "builtin", "--memory", "512")

    assert 7_000_012 == run.document["invocations"][0]["produced_bytes"]
    assert "(7,000,012 bytes; the limit is 6,291,556, or 6 MB)" in run.output, run


@pytest.mark.parametrize("emulator", ["rie", "builtin"])
def test_an_error_that_is_too_large_to_be_told_ends_the_runtime(run_function: RunFunction, emulator: str) -> None:
    source = "def handler(event, context): raise ValueError('x' * 7_000_000)"
    run = run_function(source, "--repeat", "1", "--emulator", emulator, "--memory", "512")

    assert ("crash", "Runtime.ExitError") == outcome_of(run.calls[0]), run
    assert "ValueError" == run.document["invocations"][0]["error_type"]


def test_an_answer_that_is_no_json_was_raised_by_nobody(run_function: RunFunction) -> None:
    run = run_function("def handler(event, context): return {1, 2}", "--repeat", "1")

    assert ("error", "Runtime.MarshalError") == outcome_of(run.document["invocations"][0])
    assert "Invocation #1 got no answer: the result cannot become JSON, for $ is a set" in run.output, run


def test_a_missing_boto3_is_told_from_a_package_that_is_not_whole(run_function: RunFunction) -> None:
    """What the import says where it is missing, raised as such: it may well be installed here."""
    run = run_function("raise ModuleNotFoundError(\"No module named 'boto3'\")", "--repeat", "1")
    other = run_function("import boto3_of_no_such_name", "--repeat", "1")

    assert "Lambda's Python runtimes bring boto3 along" in run.output, run
    assert "bring boto3 along" not in other.output


def test_an_answer_that_looks_like_an_error_is_none(run_function: RunFunction) -> None:
    source = """
        def handler(event, context):
            return {"errorMessage": "no", "errorType": "ValueError", "requestId": "mine", "stackTrace": []}
    """
    run = run_function(source)

    assert run.status == 0, run


def test_lingering_work_fails_the_run_only_when_asked(run_function: RunFunction) -> None:
    source = """
        import threading, time
        def handler(event, context):
            threading.Thread(target=time.sleep, args=(0.05,)).start()
    """

    assert run_function(source).status == 0
    assert run_function(source, "--fail-on", "lingering").status == 3


def test_a_clean_function_passes_fail_on(run_function: RunFunction) -> None:
    assert run_function("def handler(event, context): return 1", "--fail-on", "lingering").status == 0


def test_a_rie_that_does_not_start_is_reported_with_its_last_words(run_function: RunFunction, tmp_path: Path) -> None:
    rie = tmp_path / "aws-lambda-rie"
    rie.write_text("#!/bin/sh\necho I cannot >&2\nexit 7\n")
    rie.chmod(0o755)
    run = run_function("def handler(event, context): return 1", "--rie", str(rie))

    assert run.status == 1
    assert "I cannot" in run.errors


def test_a_rie_that_dies_in_the_middle_ends_the_run_with_what_was_seen(run_function: RunFunction) -> None:
    source = """
        import os, signal
        def handler(event, context):
            if event["kill"]:
                os.kill(os.getppid(), signal.SIGKILL)
    """
    run = run_function(source, "--event", '{"kill": 0}', "--event", '{"kill": 1}', "--event", '{"kill": 0}')

    assert run.status == 1
    assert [call["outcome"] for call in run.calls] == ["ok", "no-answer"], run
    assert "RIE ended in invocation 2" in run.document["run"]["problem"]


def test_rie_that_cannot_be_had_is_said_with_the_way_out(tmp_path: Path, function_dir: Path) -> None:
    (function_dir / "app.py").write_text("def handler(event, context): return 1")
    alone = {**environment(), "XDG_CACHE_HOME": str(tmp_path), "PATH": os.defpath, "PIP_NO_INDEX": "1"}
    alone.pop("PIP_FIND_LINKS", None)
    command = [*COMMAND, "app.handler", "--dir", str(function_dir)]
    done = subprocess.run(command, capture_output=True, text=True, env=alone, check=False)

    assert done.returncode == 1
    assert "the Runtime Interface Emulator could not be had" in done.stderr
    assert "--rie PATH" in done.stderr


def test_an_interpreter_without_the_runtime_client_is_refused_with_the_pip_line(
    tmp_path: Path, function_dir: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    python = str(tmp_path / "bare/bin/python")
    command = [*COMMAND, "app.handler", "--dir", str(function_dir), "--python", python]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)

    assert done.returncode == 1
    assert f"{python} -m pip install awslambdaric" in done.stderr


@pytest.mark.usefixtures("namespaces")
def test_where_python_cannot_run_the_extension_the_function_answers_all_the_same(
    run_function: RunFunction, tmp_path: Path
) -> None:
    """The launcher falls back to the bare loop, and says so."""
    old = tmp_path / "python-that-fails"
    old.write_text('#!/bin/sh\nexec /bin/sh /opt/afterglow/bare-loop.sh "there is no Python here"\n')
    old.chmod(0o755)
    run = run_function("def handler(event, context): return 1", "--env", f"AFTERGLOW_PYTHON={old}")

    assert run.answers == [1, 1, 1]
    assert run.status == 0, run
