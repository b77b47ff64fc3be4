"""What the emulator's tests share: folders, a commanded Lambda, and a platform that is RIE or the built-in one."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.integration.emulator.stage import Platform, write_extension, write_handler

from afterglow_layer.emulator import Lambda, LambdaSettings, Misbehaviour

StartPlatform = Callable[..., Platform]
StartLambda = Callable[..., Lambda]

HANDLER = "def handler(event, context):\n    return event\n"


@pytest.fixture(params=["rie", "builtin"])
def start_platform(request: pytest.FixtureRequest, namespaces: None, tmp_path: Path) -> Iterator[StartPlatform]:
    """Give `start(handler_source, name=source…)`: the same function and extensions under RIE, and under our own."""
    with ExitStack() as stack:

        def start(handler: str = HANDLER, *, timeout_s: int = 10, **extensions: str) -> Platform:
            function, layer = tmp_path / "function", tmp_path / "layer"
            function.mkdir()
            (layer / "extensions").mkdir(parents=True)
            for name, source in extensions.items():
                write_extension(layer / "extensions", name, source, may_run=not name.startswith("no_run_bit"))
            runtime = write_handler(function, handler)
            return stack.enter_context(Platform(request.param, layer, function, runtime, timeout_s=timeout_s))

        yield start


@pytest.fixture
def start_lambda(tmp_path: Path) -> Iterator[StartLambda]:
    """Give `start(handler_source, {name: source…}, misbehave, **settings)`: a commanded Lambda, closed at the end."""
    with ExitStack() as stack:

        def start(
            handler: str = HANDLER,
            extensions: Mapping[str, str] | None = None,
            misbehave: Misbehaviour | None = None,
            **settings: Any,
        ) -> Lambda:
            runtime = write_handler(tmp_path, handler)
            paths = [write_extension(tmp_path / "ext", name, text) for name, text in (extensions or {}).items()]
            chosen = LambdaSettings(**{"cwd": tmp_path, "timeout_ms": 10_000, **settings})
            return stack.enter_context(Lambda(runtime, paths, chosen, misbehave))

        yield start
