"""Faults that show deep inside real libraries, installed beside the function as ``pip install -t`` does it."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.usefixtures("namespaces"), pytest.mark.slow]
SOURCE = Path(__file__).parents[1] / "handlers" / "own_line.py"
PACKAGES = (
    "aws-lambda-powertools==3.4.0",
    "boto3==1.35.76",
    "httpx==0.27.2",
    "jinja2==3.1.4",
    "pandas==2.2.3",
    "pydantic==2.10.3",
    "requests==2.32.3",
    "sqlalchemy==2.0.36",
)
RAISE = (
    "bad_sql",
    "refused_httpx",
    "refused_async",
    "refused_requests",
    "refused_boto3",
    "template",
    "wrong_column",
    "called_back",
    "invalid",
    "in_a_pool",
    "grouped",
    "generated",
)
HANG = ("slow_httpx", "slow_pool")
LEAVE = ("leaves", "leaves_at_once")


@pytest.fixture(scope="session")
def function(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a function's folder with its dependencies, which are installed once."""
    cache = pytestconfig.cache
    assert cache is not None
    packages = Path(cache.mkdir("own-line")) / f"python{sys.version_info.major}.{sys.version_info.minor}"
    wanted = "\n".join(PACKAGES)
    note = packages / "wanted.txt"
    if not note.exists() or note.read_text() != wanted:
        shutil.rmtree(packages, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", packages, "--only-binary", ":all:"]
        done = subprocess.run([*pip, *PACKAGES], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"the packages cannot be installed: {done.stderr[-200:]}")
        note.write_text(wanted)
    folder = tmp_path_factory.mktemp("own") / "function"
    shutil.copytree(packages, folder, copy_function=os.link, symlinks=True)
    shutil.copy(SOURCE, folder / "app.py")
    (folder / "page.html").write_text("<p>\n{% for row in rows %}{{ row.missing.too }}{% endfor %}\n")
    (folder / "sqlalchemy" / "mine.py").write_text("def fail():\n    raise LookupError\n")
    return folder


@pytest.fixture(scope="session")
def slow_port() -> Iterator[int]:
    """Give a port that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def run(folder: Path, faults: tuple[str, ...], *options: str, env: dict[str, str] | None = None) -> Any:
    """Return the run document, and the report."""
    out = folder.parent / "run.json"
    events = [part for fault in faults for part in ("--event", json.dumps({"do": fault}))]
    options = ("--memory", "1769", "--gap", "0.1", *events, *options)
    done = subprocess.run(
        [sys.executable, "-m", "afterglow_layer", "run", "app.handler", "--dir", folder, "--json", out, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "COLUMNS": "100", **(env or {})},
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return json.loads(out.read_text()), done.stdout


def line_of(fault: str) -> int:
    lines = SOURCE.read_text().splitlines()
    return 1 + next(number for number, line in enumerate(lines) if line.endswith(f"# {fault}"))


def test_an_error_deep_inside_a_library_is_at_the_functions_own_line(function: Path) -> None:
    faults = tuple(fault for fault in RAISE if fault != "grouped" or sys.version_info >= (3, 11))
    document, report = run(function, faults, "--timeout", "60")
    wanted = {fault: line_of("refused_async" if fault == "grouped" else fault) for fault in faults}

    told = {
        fault: str(call["error_origin"]).partition("app.py:")[2].partition(" ")[0]
        for fault, call in zip(faults, document["invocations"], strict=True)
    }
    assert {fault: str(line) for fault, line in wanted.items()} == told
    assert len(
        {(wanted[fault], call["error_type"]) for fault, call in zip(faults, document["invocations"], strict=True)}
    ) == (report.count("✗"))


def test_a_module_beside_an_installed_one_is_the_functions_own(function: Path) -> None:
    document, _ = run(function, ("beside",), "--timeout", "60")

    assert document["invocations"][0]["error_origin"].endswith("sqlalchemy/mine.py:2 in fail")


def test_a_hang_deep_inside_a_library_is_at_the_functions_own_line(function: Path, slow_port: int) -> None:
    document, report = run(
        function, HANG, "--timeout", "6", "--env", f"SLOW_PORT={slow_port}", env={"SLOW_PORT": str(slow_port)}
    )

    assert [line_of(fault) for fault in HANG] == [ending["where"]["line"] for ending in document["endings"]]
    assert len(HANG) == report.count("timed out after 6 s")


def test_an_exit_is_at_the_line_that_made_it(function: Path) -> None:
    document, report = run(function, LEAVE, "--timeout", "60")

    assert [line_of(fault) for fault in LEAVE] == [ending["where"]["line"] for ending in document["endings"]]
    assert [None, "os._exit"] == [ending["cause"] for ending in document["endings"]]
    assert "ended the runtime with os._exit()" in report
