"""Init, to the module, under RIE: the tree and its lines, late imports, sizes on disk, and the example."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.conftest import RunFunction

EXAMPLES = Path(__file__).parents[2] / "examples"

REQUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
APP = """
import shop.orders


def handler(event, context):
    import late
    return shop.orders.count()
"""
ORDERS = "import heavy\n\n\ndef count():\n    return 1\n"
SLOW = "import time\ntime.sleep({})\n"


@pytest.fixture
def function(function_dir: Path) -> Path:
    (function_dir / "shop").mkdir()
    (function_dir / "shop" / "orders.py").write_text(ORDERS)
    (function_dir / "heavy.py").write_text(SLOW.format(0.15))
    (function_dir / "late.py").write_text(SLOW.format(0.03))
    return function_dir


def test_init_is_told_to_the_module(run_function: RunFunction, function: Path) -> None:
    run = run_function(APP, "--repeat", "2")

    assert run.status == 0, run
    init, late = run.document["imports"]
    modules = {module["name"]: module for module in init["modules"]}
    assert init["modules"][modules["heavy"]["parent"]]["name"] == "shop.orders", run
    assert (str(function / "shop" / "orders.py"), 1) == (modules["heavy"]["file"], modules["heavy"]["line"])
    assert 150 <= modules["heavy"]["self_ms"] <= modules["app"]["total_ms"] <= run.document["init"]["import_ms"], run
    assert (1, "late") == (late["invocation"], late["modules"][0]["name"])
    assert "shop/orders.py:1" in run.output
    assert "#1 imported 1 module late" in run.output
    assert {} == run.document["losses"]["fact"]["dropped"]


def test_what_lies_on_disk_is_told_once(run_function: RunFunction, function: Path) -> None:
    (function / "data.bin").write_bytes(b"x" * 3_000_000)

    run = run_function(APP, "--repeat", "2")

    packages = {package["what"]: package for package in run.document["packages"]}
    assert 2 == len(run.document["packages"]), run
    assert ("data.bin", 3_000_000) == tuple(packages["function"]["biggest"][0].values())
    assert "afterglow" in [part["name"] for part in packages["layers"]["biggest"]]
    assert "Function on disk: 2.9 MB" in run.output


@pytest.mark.parametrize("failing", ["import there_is_no_such_module\n", "1 / 0\n", "def f(:\n"])
@pytest.mark.parametrize("where", ["heavy", "late"], ids=["in Init", "in the handler"])
def test_a_failing_import_is_answered_as_it_is_without_us(
    run_function: RunFunction, function: Path, failing: str, where: str
) -> None:
    (function / f"{where}.py").write_text(failing)

    with_us, without = (
        REQUEST_ID.sub("", run_function(APP, *more).calls[0]["answer"]) for more in ([], ["--no-layer"])
    )

    assert "errorMessage" in without
    assert without == with_us


@pytest.mark.usefixtures("namespaces")
def test_the_example_names_its_line_and_its_repaired_twin_does_not_import_it() -> None:
    pytest.importorskip("boto3", reason="the example imports boto3, as Lambda's own Python has it")
    demo = subprocess.run(
        [sys.executable, EXAMPLES / "demo.py", "heavy_init"], capture_output=True, text=True, check=False, timeout=120
    )

    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "app.py:6" in demo.stdout
    assert "fixed alone" in demo.stdout
