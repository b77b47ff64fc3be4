"""The examples of bad endings under RIE: the report tells what happened, where and with what.

And of an exception, never what it says.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "endings"
pytestmark = pytest.mark.usefixtures("namespaces")


def run(handler: str, folder: Path, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "afterglow_layer", "run", handler, "--dir", folder, "--repeat", "1", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def test_a_timeout_names_the_call_that_it_was_waiting_in() -> None:
    report = run("app.handler", EXAMPLES / "times_out", "--timeout", "2")

    assert "✗ Invocation #1 timed out after 2 s" in report
    assert '→ 12 │     with urllib.request.urlopen(f"{URL}/prices/{article}") as answer:' in report
    assert "it waited" in report


def test_a_crash_names_the_line_and_the_signal() -> None:
    report = run("app.handler", EXAMPLES / "segfaults")

    assert "✗ Invocation #1 crashed: Segmentation fault" in report
    assert "→ 11 │     ctypes.memset(pixels, 0xFF, SIZE)" in report


def test_memory_past_the_limit_ends_the_function_or_is_told() -> None:
    report = run("app.handler", EXAMPLES / "eats_memory", "--timeout", "20", "--memory", "256")

    assert "was killed for its memory, at 256 MB" in report or "#1 took more memory than is configured" in report, (
        report
    )


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ("def handler(event, context):\n    raise ValueError('hunter2')\n", "app.py:2 in handler"),
        ("raise ValueError('hunter2')\n", "app.py:1 in <module>"),
        ("def handler(event, context):\n    return {'hunter2'}\n", None),
    ],
    ids=["raised by the handler", "raised by the import", "an answer that is no JSON"],
)
def test_an_exception_is_told_by_class_and_origin_and_never_by_what_it_says(
    source: str, origin: str | None, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(source)
    out, emf = tmp_path / "run.json", tmp_path / "emf.ndjson"

    run("app.handler", tmp_path, "--json", str(out), "--emf", str(emf))

    document = json.loads(out.read_text())
    for invocation in document["invocations"]:
        assert invocation.pop("caller")["outcome"] == "error"  # what the caller was told is the caller's
    document["run"].pop("logs")  # the runtime's own words, in the function's own log
    told = json.dumps(document)
    assert "hunter2" not in told + emf.read_text()
    assert origin is None or origin in told
