"""The hook's own life: where it installs itself, what it tells, and that nothing in it can hurt the function."""

import json
import os
import subprocess
import sys

import pytest
from tests.unit.hook.conftest import Start
from tests.unit.hook.runtime import HOOK_ROOT, Extension

ECHO = "return event"


# -- installing --------------------------------------------------------------------------------------------------

RUNTIME = {"_HANDLER": "app.handler", "AWS_LAMBDA_RUNTIME_API": "nobody-there"}
SHOW = """
import json, sys
before = len(sys.meta_path)
import afterglow_hook
print(json.dumps([afterglow_hook.install(), len(sys.meta_path) - before, sorted(sys.modules)]))
"""


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"_HANDLER": "app.handler"},
        {"AWS_LAMBDA_RUNTIME_API": "nobody-there"},
        {**RUNTIME, "AFTERGLOW_HOOK": "off"},
        {**RUNTIME, "AFTERGLOW_HOOK": "False"},
        {**RUNTIME, "AFTERGLOW_HOOK": "0"},
        {**RUNTIME, "AFTERGLOW_ENABLED": "off"},
    ],
    ids=str,
)
def test_where_it_is_not_wanted_it_does_nothing(variables: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env={**variables, "PYTHONPATH": str(HOOK_ROOT)}, capture_output=True, check=True
    )
    installed, finders, modules = json.loads(done.stdout)

    assert (False, 0, b"") == (installed, finders, done.stderr)
    assert ["afterglow_hook"] == [name for name in modules if name.startswith("afterglow_hook")]


def test_installing_twice_is_installing_once(start: Start, extension: Extension) -> None:
    runtime = start(ECHO)
    runtime.invoke(1)

    assert [True, False] == runtime.first["installed"]
    assert 1 == [fact["t"] for fact in extension.facts].count("hello")


# -- telling -----------------------------------------------------------------------------------------------------


def test_it_says_hello_then_tells_of_init_and_of_each_invocation(start: Start, extension: Extension) -> None:
    runtime = start(ECHO)
    runtime.invoke(1)
    runtime.invoke(2)
    kinds = [fact["t"] for fact in extension.facts if fact["t"] in ("hello", "init", "entered", "returned")]

    assert ["hello", "init", "entered", "returned", "entered", "returned"] == kinds
    assert (1, str(runtime.app.parent)) == (extension.facts[0]["v"], extension.facts[0]["root"])
    assert ("r-2", 2) == (extension.facts[-1]["id"], extension.facts[-1]["n"])


def test_init_is_timed_around_the_import_of_the_handlers_module(start: Start, extension: Extension) -> None:
    runtime = start("""
        import time
        time.sleep(0.05)
        def handler(event, context):
            return event
        """)
    runtime.invoke()
    init = extension.until("init")

    assert init["at"] - init["from"] >= 50_000_000
    assert 0 < init["cpu"] < init["at"] - init["from"]


def test_an_import_that_fails_is_told_with_its_type(start: Start, extension: Extension) -> None:
    runtime = start("raise LookupError('secret')\n#def handler")
    runtime.answer()

    assert "LookupError" == extension.until("init")["error"]
    assert "secret" not in json.dumps(extension.facts)


def test_the_handlers_wall_and_cpu_time_are_told(start: Start, extension: Extension) -> None:
    runtime = start("""
        import time
        def handler(event, context):
            until = time.process_time() + 0.05
            while time.process_time() < until:
                pass
            time.sleep(0.03)
        """)
    runtime.invoke()
    returned = extension.until("returned")
    wall_s, cpu_s = (returned["at"] - returned["from"]) / 1e9, returned["user"] + returned["system"]

    assert wall_s >= 0.08
    assert 0.049 <= cpu_s <= wall_s - 0.029


@pytest.mark.parametrize("raised", ["LookupError", "SystemExit"])
def test_an_error_is_told_by_its_type_alone(start: Start, extension: Extension, raised: str) -> None:
    runtime = start(f"raise {raised}('secret')")
    runtime.send()

    assert raised == extension.until("returned")["error"]
    assert "secret" not in json.dumps(extension.facts)


def test_what_the_handler_gets_and_gives_is_untouched(start: Start) -> None:
    source = """
        return [type(context).__module__, type(context).__name__, context.aws_request_id, event,
                handler.__name__, handler.__module__]
        """
    with_hook = start(source).invoke({"a": [1, None]})
    without = start(source, hook=False, alone=True).invoke({"a": [1, None]})

    assert without == with_hook


def test_an_executors_jobs_of_one_call_site_are_one_piece_of_work_with_their_count(start: Start) -> None:
    runtime = start("""
        import concurrent.futures, time
        pool = concurrent.futures.ThreadPoolExecutor(2)

        def handler(event, context):
            for _ in range(5):
                pool.submit(time.sleep, 60)
            pool.submit(time.sleep, 60)
        """)

    assert [5, 1] == [work["jobs"] for work in runtime.found()]


# -- its end is told ---------------------------------------------------------------------------------------------


def test_the_end_of_work_is_told_when_it_comes(start: Start, extension: Extension) -> None:
    runtime = start("""
        import threading
        gate = threading.Event()

        def wait():
            while not gate.is_set():
                sum(range(1000))

        def handler(event, context):
            gate.set() if event else threading.Thread(target=wait, name="waiting").start()
        """)
    (work,) = runtime.found()
    runtime.found(1)
    ended = extension.until("ended")

    assert work["w"] == ended["w"]
    assert ended["at"] > work["at"]
    assert ended["cpu"] > 0


def test_work_that_ends_while_it_is_being_announced_is_announced_first(start: Start, extension: Extension) -> None:
    """Jobs that end between the look and the announcement: told the other way round, they would never end."""
    runtime = start("""
        import concurrent.futures, time
        pool = concurrent.futures.ThreadPoolExecutor(8)

        def handler(event, context):
            for n in range(200):
                pool.submit(time.sleep, n / 1e6)
        """)
    for _ in range(20):
        runtime.invoke()
    runtime.send()
    announced, ended = set(), set()
    runtime.answer()
    extension.until("returned", id="r-21")
    for fact in extension.facts:
        if fact["t"] == "ended":
            ended.add(fact["w"])
            assert fact["w"] in announced, "its end was told before its beginning"
        announced |= {work["w"] for work in fact.get("new", ())} if fact["t"] == "found" else set()


def test_a_task_that_is_destroyed_while_it_is_pending_is_not_kept_alive(start: Start, extension: Extension) -> None:
    runtime = start("""
        import asyncio, gc, os

        async def main():
            asyncio.get_running_loop().create_task(asyncio.sleep(60))
            await asyncio.sleep(0)

        def handler(event, context):
            gc.collect()
            files = len(os.listdir("/proc/self/fd"))
            asyncio.new_event_loop().run_until_complete(main())
            return files
        """)
    files = [runtime.invoke()["result"] for _ in range(5)]

    assert files[1:] == [files[1]] * 4


def test_the_results_of_jobs_are_not_kept_alive(start: Start) -> None:
    runtime = start("""
        import concurrent.futures, gc, threading, weakref
        pool = concurrent.futures.ThreadPoolExecutor(1)
        gate, results = threading.Event(), []

        class Result:
            pass

        def make():
            result = Result()
            results.append(weakref.ref(result))
            gate.wait(1 if len(results) == 1 else None)
            return result

        def handler(event, context):
            if event is None:
                for _ in range(3):
                    pool.submit(make)
                return
            while len(results) < 2:
                pass
            gc.collect()
            return results[0]() is None
        """)
    runtime.invoke()

    assert {"id": "r-2", "result": True} == runtime.invoke("look")


# -- nobody listens ----------------------------------------------------------------------------------------------


def test_without_an_extension_the_function_runs_as_ever(start: Start) -> None:
    runtime = start(ECHO, alone=True)
    answers = [runtime.invoke(number)["result"] for number in range(3)]

    assert [0, 1, 2] == answers
    assert ("", "") == runtime.end()


def test_when_the_extension_is_gone_the_function_runs_on(start: Start, extension: Extension) -> None:
    runtime = start("""
        import threading, time
        def handler(event, context):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            return event
        """)
    runtime.invoke(0)
    extension.hang_up()
    answers = []
    for number in range(3):
        runtime.send(number)
        answers.append(runtime.answer()["result"])

    assert [0, 1, 2] == answers
    assert ("", "") == runtime.end()


def test_what_a_full_socket_does_not_take_is_dropped_and_told_later(start: Start, extension: Extension) -> None:
    runtime = start(ECHO)
    invocations = 600
    for number in range(invocations):  # and nobody reads
        runtime.send(number)
        assert number == runtime.answer()["result"]
    extension.read_what_is_there()
    runtime.invoke("last")
    dropped = sum(fact.get("dropped", 0) for fact in extension.facts)
    entered = [fact for fact in extension.facts if fact["t"] in ("entered", "returned")]

    assert dropped > 0, f"{invocations} invocations are not enough to fill the socket"
    assert 2 * runtime.requests == len(entered) + dropped


# -- something breaks in here ------------------------------------------------------------------------------------


def test_a_hook_that_fails_switches_itself_off_says_so_once_and_the_function_goes_on(
    start: Start, extension: Extension
) -> None:
    runtime = start("""
        import threading

        class Nameless(threading.Thread):
            name = property(lambda self: 1 / 0)

            def run(self):
                pass

        def handler(event, context):
            workers = [Nameless() for _ in range(3)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            return event
        """)
    answers = []
    for number in range(3):
        runtime.send(number)
        answers.append(runtime.answer()["result"])
    gave_up = extension.until("gave-up")
    _, errors = runtime.end()

    assert [0, 1, 2] == answers
    assert "ZeroDivisionError" == gave_up["error"]
    assert "afterglow: hook switched off: ZeroDivisionError: division by zero\n" == errors
    assert gave_up is extension.facts[-1]


@pytest.mark.parametrize(
    "callable_",
    [
        "type('Proxy', (), {'__getattr__': lambda self, name: Proxy(), '__call__': lambda self: None})()",
        "type('Angry', (), {'__getattr__': lambda self, name: 1 / 0, '__call__': lambda self: None})()",
        "functools.partial(functools.partial(print))",
        "operator.methodcaller('x')",
        "type('Named', (), {'__call__': lambda self: None, '__getattr__': lambda self, name: 3})()",
    ],
    ids=["proxy", "angry proxy", "partial", "callable", "odd name"],
)
def test_a_callable_may_be_as_odd_as_it_likes(start: Start, extension: Extension, callable_: str) -> None:
    runtime = start(f"""
        import concurrent.futures, functools, operator, threading

        class Proxy:
            def __getattr__(self, name):
                return Proxy()

            def __call__(self, *_):
                return None

        odd = {callable_}
        gate = threading.Event()
        pool = concurrent.futures.ThreadPoolExecutor(1)

        def handler(event, context):
            pool.submit(gate.wait)
            pool.submit(odd)
            threading.Thread(target=odd, name="odd").start()
            gate.set()
        """)
    runtime.invoke()
    _, errors = runtime.end()

    assert "afterglow" not in errors
    assert "gave-up" not in [fact["t"] for fact in extension.facts]


def test_a_subclass_of_popen_with_a_pid_of_its_own_still_works(start: Start) -> None:
    runtime = start("""
        import subprocess

        class Program(subprocess.Popen):
            @property
            def pid(self):
                return self.number

            @pid.setter
            def pid(self, number):
                self.number = number

        with Program(["true"]) as program:
            pass
        return [program.returncode, program.pid > 0]
        """)

    assert [0, True] == runtime.invoke()["result"]


def test_a_program_can_be_talked_to_as_ever(start: Start, python: str) -> None:
    runtime = start(
        """
        import subprocess

        program = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return [type(program.pid).__name__, sorted(vars(program))[:3], program.communicate(b"x")[0].decode(),
                program.poll()]
        """,
        python,
    )
    without = start(runtime.app.read_text(), python, hook=False, alone=True)

    assert without.invoke()["result"] == runtime.invoke()["result"]


# -- forks -------------------------------------------------------------------------------------------------------


def test_a_forked_child_says_nothing_in_its_parents_name(start: Start, extension: Extension) -> None:
    runtime = start("""
        import os, threading, time

        def handler(event, context):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            if event:
                return
            child = os.fork()
            if not child:
                threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
                os._exit(0)
            return os.waitpid(child, 0)[1]
        """)

    assert 1 == len(runtime.found())
    assert 1 == len(runtime.found("again"))
    assert 1 == len(extension.hooks)
    assert ("", "") == runtime.end()


def test_a_worker_that_is_forked_after_the_hook_was_installed_has_a_hook_of_its_own(
    start: Start, extension: Extension
) -> None:
    """As under Managed Instances."""
    runtime = start("""
        import threading, time

        def handler(event, context):
            threading.Thread(target=time.sleep, args=(60,), name="worker").start()  # here
        """, env={"FORK_FIRST": "1"})  # fmt: skip
    (work,) = runtime.found()

    assert 2 == [fact["t"] for fact in extension.facts].count("hello")
    assert runtime.first["pid"] != runtime.process.pid
    assert runtime.line("here") == work["site"][0][1]


# -- modules stay what they are ----------------------------------------------------------------------------------


def test_observed_modules_keep_their_loader_their_source_and_their_name(start: Start, python: str) -> None:
    source = """
        import asyncio.tasks, concurrent.futures.thread, importlib.util, inspect, multiprocessing.pool, subprocess, sys
        modules = [asyncio, asyncio.tasks, concurrent.futures.thread, multiprocessing.pool, subprocess]
        seen = [
            [m.__name__, type(m.__loader__).__name__, type(m.__spec__.loader).__name__, len(inspect.getsource(m)),
             importlib.util.find_spec(m.__name__).origin]
            for m in modules
        ]
        importlib.reload(subprocess)
        return [seen, subprocess.run(["true"]).returncode]
        """
    with_hook = start(source, python).invoke()
    without = start(source, python, hook=False, alone=True).invoke()

    assert without == with_hook


def test_every_python_of_this_machine_was_found(python: str) -> None:
    done = subprocess.run([python, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, check=True)

    assert done.stdout.startswith(b"(3, 1")
    assert os.access(python, os.X_OK)
