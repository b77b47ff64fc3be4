"""A whole layer at /opt: one made up here, and Afterglow's own."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.emulator.listener import all_said
from tests.integration.emulator.stage import write_extension, write_handler

from afterglow_layer.archive import unpacked_layer
from afterglow_layer.emulator import Lambda, LambdaSettings, managed_python
from afterglow_layer.local.interpreter import Interpreter, ask
from afterglow_layer.rie import host_arch

NAMES_OPT = "import os\ndef handler(event, context):\n    return [os.getcwd(), open('/opt/data.txt').read()]\n"


@pytest.fixture
def python() -> Interpreter:
    return ask(Path(sys.executable), os.environ)


@pytest.fixture
def afterglow(namespaces: None, tmp_path: Path, python: Interpreter) -> Iterator[Lambda]:
    """Give a function with Afterglow's own layer."""
    write_handler(tmp_path, "def handler(event, context):\n    return event\n")
    settings = LambdaSettings(cwd=tmp_path, env={"AFTERGLOW_PYTHON": python.base}, timeout_ms=10_000)
    with Lambda(managed_python(), settings=settings, layer=unpacked_layer(host_arch(), python)) as function:
        yield function


def test_the_layer_is_at_opt_and_its_extensions_run(namespaces: None, tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    write_extension(layer / "extensions", "inside", "register(); loop()")
    (layer / "data.txt").write_text("from the layer")
    runtime = write_handler(tmp_path, NAMES_OPT)
    with Lambda(runtime, settings=LambdaSettings(cwd=tmp_path), layer=layer) as function:
        answer = function.invoke()

    assert [str(tmp_path), "from the layer"] == answer.json()
    assert ["inside"] == [each["probe"] for each in all_said(function, "registered")]
    assert not Path("/opt/data.txt").exists()


def test_afterglow_lives_through_invocations_freezes_and_shutdown(afterglow: Lambda) -> None:
    answers = [afterglow.invoke({"n": n}).json() for n in range(3)]
    afterglow.shutdown()

    exits = {seen.who: seen.detail["code"] for seen in afterglow.events if seen.kind == "process.exit"}
    assert [{"n": n} for n in range(3)] == answers
    assert 0 == exits["afterglow"], "\n".join(map(str, afterglow.events))
