"""Each example under RIE, as `make demo` runs it: the bug is found at its line, the repaired twin is clean."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize(
    ("example", "late"),
    [
        ("fire_and_forget", "1 call of order 1 arrived during order 2"),
        ("left_running_pool", "of order 1 arrived during order 2"),
        ("unawaited_task", "1 call of order 1 (arrived during order [23]|never arrived)"),  # its loop runs for 10 ms
    ],
)
def test_the_bug_is_found_and_its_repaired_twin_is_clean(example: str, late: str) -> None:
    demo = subprocess.run(
        [sys.executable, EXAMPLES / "demo.py", example], capture_output=True, text=True, check=False, timeout=120
    )

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "Every bug was found" in demo.stdout
    assert re.search(late, demo.stdout), demo.stdout


def test_the_examples_are_all_in_the_demo() -> None:
    folders = {app.parent.name for app in EXAMPLES.glob("*/app.py")}

    listed = subprocess.run(
        [sys.executable, EXAMPLES / "demo.py", "--help"], capture_output=True, text=True, check=True
    )
    assert [name for name in sorted(folders) if name not in listed.stdout] == []
