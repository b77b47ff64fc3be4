"""Nothing of ours stands below the handler or its import: what just fits without us fits with us, to the frame."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.hook.conftest import Start
from tests.unit.hook.runtime import Runtime, link_runtime_client

DEEP = """
import json
import sys
import threading
import warnings


def depth():
    frame, count = sys._getframe(), 0
    while frame:
        frame, count = frame.f_back, count + 1
    return count


def fits():
    room = 0

    def fall():
        nonlocal room
        room += 1
        fall()

    try:
        fall()
    except RecursionError:
        return room


IMPORTED_AT = depth(), fits()


class Odd:
    def __repr__(self):
        return "odd"


def handler(event, context):
    do = event["do"] if isinstance(event, dict) else "depth"
    if do == "depth":
        return [IMPORTED_AT, depth(), fits(), json.dumps(event)[:9]]
    if do == "odd":
        return {"report": {"until": Odd()}}
    if do == "coroutine":
        return answer()
    if do == "recurse":
        return handler(event, context)
    if do == "nested":
        result = []
        for _ in range(event["times"]):
            result = [result]
        return result
    if do == "warn":
        warnings.warn("of the caller", stacklevel=2)
        return None
    if do == "fault":
        from awslambdaric.lambda_runtime_exception import FaultException
        raise FaultException("Mine", "of mine", ["a trace"])
    raise {"exit": SystemExit(3), "keyboard": KeyboardInterrupt(), "generator": GeneratorExit(1)}.get(do, KeyError(do))


async def answer():
    return 1
"""
EVENTS: list[dict[str, Any]] = [
    {"event": {"do": name}}
    for name in ("depth", "odd", "coroutine", "recurse", "warn", "fault", "raise", "depth", "exit")
]
EVENTS[5:5] = [
    {"body": "no JSON"},
    {"headers": {"Lambda-Runtime-Client-Context": "no JSON"}},
    {"headers": {"Content-Type": "text/plain"}},
    {"headers": {"Lambda-Runtime-Client-Context": "[" * 5000 + "]" * 5000}},
    *({"body": "[" * times + "]" * times} for times in (900, 980, 990, 1000, 5000)),
    *({"event": {"do": "nested", "times": times}} for times in (100, 300, 330, 500, 1000)),
]


def answers(start: Start, source: str, events: list[dict[str, Any]], python: str, **options: Any) -> Any:
    """Return what callers get and what is printed."""
    runtime = start(source, python, **options)
    got = []
    for event in events:
        if "exit" in json.dumps(event):
            runtime.send(**event)
            runtime.process.wait(30)
        else:
            got.append(runtime.invoke(**event))
    text = json.dumps([got, *runtime.end(), runtime.process.returncode])
    return json.loads(text.replace(str(runtime.app.parent), "/var/task")), runtime


def plain(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if "Z" not in line]


def test_callers_get_what_they_get_without_us(start: Start, python: str) -> None:
    without, _ = answers(start, DEEP, EVENTS, python, hook=False, alone=True)
    with_us, _ = answers(start, DEEP, EVENTS, python)

    for event, expected, got in zip(EVENTS, without[0], with_us[0], strict=False):
        assert expected == got, str(event)[:80]
    assert without[1:] == with_us[1:]


@pytest.mark.parametrize("do", ["keyboard", "generator"])
def test_what_the_client_does_not_catch_ends_the_runtime_as_without_us(start: Start, python: str, do: str) -> None:
    ends = []
    for options in ({"hook": False, "alone": True}, {}):
        runtime = start(DEEP, python, **options)
        runtime.send({"do": do})
        runtime.process.wait(30)
        ends.append(
            (runtime.process.returncode, *(text.replace(str(runtime.app.parent), "") for text in runtime.end()))
        )

    assert ends[0] == ends[1]
    assert runtime.extension is not None
    assert runtime.extension.until("returned", id="r-1")["error"] in ("KeyboardInterrupt", "GeneratorExit")


def test_the_clocks_start_when_the_event_is_there_and_stop_before_the_result_is_made_text(
    start: Start, python: str
) -> None:
    source = """
        import time
        from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
        from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

        class Slow(LambdaMarshaller):
            def unmarshal_request(self, *parts):
                time.sleep(0.1)
                return super().unmarshal_request(*parts)

            def marshal_response(self, response):
                time.sleep(0.1)
                return super().marshal_response(response)

        LambdaRuntimeClient.marshaller = Slow()

        def handler(event, context):
            return 1
        """
    runtime = start(source, python)
    runtime.invoke()
    assert runtime.extension is not None
    fact = runtime.extension.until("returned", id="r-1")

    assert 50e6 > fact["at"] - fact["from"]


FAILURES = {
    "raises": ("raise LookupError('x')", "LookupError"),
    "exits": ("raise SystemExit(4)", "SystemExit"),
    "is no Python": ("def handler(:", "Runtime.UserCodeSyntaxError"),
    "imports what is not there": ("import there_is_no_such", "Runtime.ImportModuleError"),
    "has no handler": ("x = 1", "Runtime.HandlerNotFound"),
}


@pytest.mark.parametrize(("source", "error"), FAILURES.values(), ids=FAILURES)
def test_an_init_that_fails_is_told_once(start: Start, python: str, source: str, error: str) -> None:
    runtime = start(source + "\n#def handler", python)
    if error != "SystemExit":
        runtime.answer()
    runtime.process.wait(30)
    assert runtime.extension is not None
    fact = runtime.extension.until("init")
    runtime.extension.read_what_is_there()

    assert error == fact["error"]
    assert fact["from"] <= fact["at"]
    assert ["init"] == [fact["t"] for fact in runtime.extension.facts if fact["t"] in ("init", "entered", "returned")]


def test_a_marshaller_of_the_functions_own_is_used_and_a_new_one_from_then_on(start: Start, python: str) -> None:
    source = """
        from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
        from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

        class Shouting(LambdaMarshaller):
            def marshal_response(self, response):
                return super().marshal_response(str(response).upper())

        class Twice(LambdaMarshaller):
            def unmarshal_request(self, *parts):
                return super().unmarshal_request(*parts) * 2

        LambdaRuntimeClient.marshaller = Shouting()

        def handler(event, context):
            if event == "change":
                LambdaRuntimeClient.marshaller = Twice()
            return event
        """
    seen = []
    for options in ({"hook": False, "alone": True}, {}):
        runtime = start(source, python, **options)
        seen.append([runtime.invoke(event)["result"] for event in ("a", "change", "b")])

    assert [["A", "change", "bb"]] * 2 == seen


def another_client(folder: Path) -> Path:
    """Make a runtime client that looks nothing up that we could stand in for."""
    link_runtime_client(folder)
    package = folder / "awslambdaric"
    real = package.resolve()
    package.unlink()
    package.mkdir()
    for path in real.glob("*.py"):
        text = path.read_text()
        if path.name == "bootstrap.py":
            text = text.replace("extract_traceback", "frames_of")
        (package / path.name).write_text(text)
    return folder


def test_a_client_of_another_shape_is_observed_too(tmp_path: Path, start: Start, python: str) -> None:
    client = another_client(tmp_path)
    source = "def handler(event, context):\n    return 1 / event"
    runtime = start(source, python, client=client)
    answers = [runtime.invoke(event) for event in (1, 0)]
    assert runtime.extension is not None
    told = [runtime.extension.until("returned", id=f"r-{nth}")["error"] for nth in (1, 2)]

    assert 1 == answers[0]["result"]
    assert [None, "ZeroDivisionError"] == told
    assert [f'  File "{runtime.app}", line 2, in handler\n    return 1 / event\n'] == answers[1]["error"]["stackTrace"]
    assert isinstance(runtime, Runtime)
