"""Ends that do not explain themselves: what the hook says of a result that is no answer, and of an exit."""

from typing import Any

import pytest
from tests.unit.hook.conftest import Start
from tests.unit.hook.runtime import Runtime

HEAD = """
import asyncio
import collections
import datetime
import decimal
import functools
import uuid


def decorated(function):
    @functools.wraps(function)
    def wrapper(event, context):
        return function(event, context)
    return wrapper


async def main():
    return 1


"""


def told(start: Start, python: str, source: str) -> tuple[dict[str, Any], Runtime]:
    runtime = start(HEAD + source, python)
    runtime.send()
    assert "error" in runtime.answer()
    assert runtime.extension is not None
    return runtime.extension.until("returned", id="r-1"), runtime


UNRUN = {
    "async def handler(event, context):  # here\n    return 1\n": "async def",
    "@decorated\n@decorated\nasync def handler(event, context):  # here\n    return 1\n": "async def",
    "def handler(event, context):  # here\n    yield 1\n": "generator",
    "async def handler(event, context):  # here\n    yield 1\n": "async generator",
    "def handler(event, context):  # here\n    return main()\n": "coroutine of main",
    "class App:\n    async def __call__(self, *_):  # here\n        pass\n\nhandler = App()\n#def handler": "async def",
}


@pytest.mark.parametrize(("source", "cause"), UNRUN.items(), ids=UNRUN.values())
def test_a_handler_that_nobody_runs_is_named_at_its_definition(
    start: Start, python: str, source: str, cause: str
) -> None:
    fact, runtime = told(start, python, source)

    assert (cause, "Runtime.MarshalError") == (fact["cause"], fact["error"])
    assert [[str(runtime.app), runtime.line("here")]] == [frame[:2] for frame in fact["origin"]]


RESULTS = {
    "{'report': {'until': datetime.datetime.now()}}": "$.report.until: datetime",
    "{'rows': [1, (2, {3})]}": "$.rows[1][1]: set",
    "{'a@key': uuid.uuid4()}": "$[str]: UUID",
    "{'a': {(1, 2): 3}}": "$.a[tuple]: a key of type tuple",
    "object()": "$: object",
    "{'ok': decimal.Decimal('1.5'), 'n': [None, True, 1.5, 'x', b'x'], 'bad': 1j}": "$.bad: complex",
    "[b'\\xff']": "$[0]: bytes that are no UTF-8",
    "{1: {None: {'a' * 60: datetime.date.today()}}}": "$[int][NoneType][str]: date",
    "functools.reduce(lambda inner, n: {'k' * 20: inner}, range(40), object())": "$."
    + ("k" * 20 + ".") * 2
    + "k" * 6
    + "…"
    + "k" * 7
    + ("." + "k" * 20) * 2
    + ": object",
}


@pytest.mark.parametrize(("result", "cause"), RESULTS.items(), ids=RESULTS.values())
def test_of_a_result_that_is_no_json_the_first_wrong_place_is_named(
    start: Start, python: str, result: str, cause: str
) -> None:
    fact, runtime = told(start, python, f"def handler(event, context):  # here\n    return {result}\n")

    assert cause == fact["cause"]
    assert [[str(runtime.app), runtime.line("here"), "handler"]] == fact["origin"]


def test_a_result_that_is_in_itself_is_named_where_it_closes(start: Start, python: str) -> None:
    source = "def handler(event, context):\n    loop = {'rows': []}\n    loop['rows'].append(loop)\n    return loop\n"

    assert "$.rows[0]: the dict that it is in" == told(start, python, source)[0]["cause"]


def test_no_code_of_the_results_own_is_run_to_explain_it(start: Start, python: str) -> None:
    source = """
class Odd(dict):
    calls = 0

    def items(self):
        type(self).calls += 1
        return super().items()

    def __getattribute__(self, name):
        if name == "cr_code":
            raise SystemError
        return super().__getattribute__(name)


class Worse:
    @property
    def __class__(self):
        raise SystemError


odd = Odd(a=Worse())


def handler(event, context):
    return odd if Odd.calls == 0 else Odd.calls
"""
    runtime = start(HEAD + source, python)
    without = start(HEAD + source, python, hook=False, alone=True)

    first = [each.invoke() for each in (without, runtime)]
    second = [each.invoke()["result"] for each in (without, runtime)]
    assert first[0]["error"]["errorMessage"] == first[1]["error"]["errorMessage"]
    assert second[0] == second[1]


ENDS = {
    "os._exit(3)": "os._exit",
    "os.kill(os.getpid(), 9)": "os.kill",
    "os.killpg(0, 9)": "os.killpg",
    "signal.raise_signal(9)": "signal.raise_signal",
    "signal.pthread_kill(threading.get_ident(), 9)": "signal.pthread_kill",
    "os.abort()": "os.abort",
}


@pytest.mark.parametrize(("end", "call"), ENDS.items(), ids=ENDS.values())
def test_a_call_that_ends_the_process_is_told_with_its_line(start: Start, python: str, end: str, call: str) -> None:
    source = f"""
        import os
        import signal
        import threading

        def leave():
            {end}  # here

        def handler(event, context):
            leave()
        """
    runtime = start(source, python)
    runtime.send()
    assert runtime.extension is not None
    fact = runtime.extension.until("exit")
    runtime.process.wait(30)

    assert call == fact["call"]
    assert [[str(runtime.app), runtime.line("here")]] == [frame[:2] for frame in fact["site"]][:1]


def test_these_calls_behave_as_they_did(start: Start, python: str) -> None:
    source = """
        import inspect
        import os
        import pickle
        import posix
        import signal
        import threading
        import traceback

        def error_of(call, *arguments):
            try:
                call(*arguments)
            except Exception:
                return traceback.format_exc()

        def handler(event, context):
            child = os.fork()
            if child == 0:
                os._exit(7)
            _, status = os.waitpid(child, 0)
            heard = []
            signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
            signal.raise_signal(signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGUSR1)
            return [
                os.waitstatus_to_exitcode(status),
                len(heard),
                error_of(os._exit),
                error_of(os._exit, "x"),
                error_of(os.kill, child, 0),
                error_of(os.kill, "x", 0),
                error_of(signal.raise_signal, 99999),
                str(os._exit),
                os._exit.__name__,
                os._exit.__module__,
                str(inspect.signature(os.kill)),
                callable(os.kill),
                pickle.loads(pickle.dumps(os._exit)) is os._exit is posix._exit,
                os.kill.__doc__,
            ]
        """
    without = start(source, python, hook=False, alone=True)
    with_hook = start(source, python)
    seen = [str(each.invoke()["result"]).replace(str(each.app), "app.py") for each in (without, with_hook)]

    child = [word for word in seen[0].split() if word.isdigit()]
    assert seen[0] == seen[1], child


def test_the_function_hears_of_its_own_faulthandler_alone(start: Start, python: str) -> None:
    source = """
        import faulthandler

        def handler(event, context):
            told = [faulthandler.is_enabled()]
            if not faulthandler.is_enabled():
                faulthandler.enable(open("/dev/null", "w"))
            told.append(faulthandler.is_enabled())
            faulthandler.disable()
            return [*told, faulthandler.is_enabled()]
        """
    seen = [start(source, python, **options).invoke()["result"] for options in ({"hook": False, "alone": True}, {})]

    assert [[False, True, False]] * 2 == seen
