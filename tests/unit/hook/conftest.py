"""Fixtures of the hook's tests: real child processes with awslambdaric, on every Python of this machine."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.hook.runtime import Extension, Runtime, find_pythons, link_runtime_client, write_app

Start = Callable[..., Runtime]
PYTHONS = find_pythons()
SUPPORTED = ("3.10", "3.11", "3.12", "3.13")


@pytest.fixture(params=SUPPORTED)
def python(request: pytest.FixtureRequest) -> str:
    """Give each supported interpreter in turn."""
    if request.param not in PYTHONS:
        pytest.skip(f"there is no Python {request.param} on this machine")
    return PYTHONS[request.param]


@pytest.fixture(scope="session")
def runtime_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with awslambdaric and nothing else."""
    folder = tmp_path_factory.mktemp("client")
    link_runtime_client(folder)
    return folder


@pytest.fixture
def extension() -> Iterator[Extension]:
    """Give a listener that plays the extension."""
    extension = Extension()
    yield extension
    extension.hang_up()


@pytest.fixture
def start(tmp_path: Path, runtime_client: Path, extension: Extension) -> Iterator[Start]:
    """Give `start(source, python=…, hook=…, alone=…, env=…, before=…)`: a runtime that runs this function."""
    started: list[Runtime] = []

    def begin(source: str, python: str = sys.executable, *, alone: bool = False, **options: Any) -> Runtime:
        folder = tmp_path / f"function-{len(started)}"
        folder.mkdir()
        write_app(folder, source)
        options.pop("before", lambda _: None)(folder)
        client = options.pop("client", runtime_client)
        runtime = Runtime(folder, client, python, extension=None if alone else extension, **options)
        started.append(runtime)
        return runtime

    yield begin
    for runtime in started:
        runtime.end()
