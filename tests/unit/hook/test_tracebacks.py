"""The user's stack traces are what they are without us, to the byte."""

import json
import re
import sys
from typing import Any

import pytest
from tests.unit.hook.conftest import Start
from tests.unit.hook.runtime import Runtime

WAYS = """
import asyncio
import concurrent.futures
import inspect
import multiprocessing.pool
import subprocess
import threading
import traceback

FORK = multiprocessing.get_context("fork")


def handler(event, context):
    name, catch = event
    if not catch:
        return globals()[name]()
    try:
        globals()[name]()
    except BaseException:
        return traceback.format_exc()
    raise AssertionError("it did not raise")


def fail(*_):
    raise LookupError("on purpose")


def raises():
    fail()


def chained():
    try:
        fail()
    except LookupError as error:
        raise ValueError("because of it") from error


def program_missing():
    subprocess.Popen(["there-is-no-such-program"])


def program_with_a_null_byte():
    subprocess.Popen(["a\\0b"])


def program_of_a_wrong_type():
    subprocess.run([object()])


def program_in_a_missing_folder():
    subprocess.run(["true"], cwd="/there/is/no/such/folder")


def program_with_a_failing_preparation():
    subprocess.run(["true"], preexec_fn=fail)


def program_that_fails():
    subprocess.run(["false"], check=True)


def thread_started_twice():
    worker = threading.Thread(target=print)
    worker.start()
    worker.join()
    worker.start()


def thread_that_cannot_start():
    before = threading.stack_size(1 << 50)
    try:
        threading.Thread(target=print).start()
    finally:
        threading.stack_size(before)


def submit_after_shutdown():
    pool = concurrent.futures.ThreadPoolExecutor(1)
    pool.shutdown()
    pool.submit(print)


def submit_nothing():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit()


def job_that_fails():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        job = pool.submit(fail)
    job.result()  # it is done by now: a result that is waited for has another line in its traceback


def job_of_a_process_that_fails():
    with concurrent.futures.ProcessPoolExecutor(1, FORK) as pool:
        job = pool.submit(fail)
    job.result()


def map_that_fails():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = pool.map(fail, [1, 2])
    list(results)


def pool_that_is_closed():
    pool = multiprocessing.pool.ThreadPool(1)
    pool.close()
    pool.apply_async(print)


def pool_job_that_fails():
    with multiprocessing.pool.ThreadPool(1) as pool:
        pool.map(fail, [1])


def process_started_twice():
    child = FORK.Process(target=abs, args=(1,))
    child.start()
    child.join()
    child.start()


def task_in_a_closed_loop():
    loop = asyncio.new_event_loop()
    loop.close()
    coroutine = asyncio.sleep(0)
    try:
        loop.create_task(coroutine)
    finally:
        coroutine.close()


def task_of_no_coroutine():
    async def main():
        asyncio.create_task(3)

    asyncio.run(main())


def task_without_a_loop():
    coroutine = asyncio.sleep(0)
    try:
        asyncio.create_task(coroutine)
    finally:
        coroutine.close()


def task_that_fails():
    async def main():
        async def inner():
            fail()

        await asyncio.create_task(inner())

    asyncio.run(main())


def run_inside_a_run():
    async def main():
        coroutine = asyncio.sleep(0)
        try:
            asyncio.run(coroutine)
        finally:
            coroutine.close()

    asyncio.run(main())


def all_tasks_without_a_loop():
    asyncio.all_tasks()


def threadsafe_of_no_coroutine():
    asyncio.run_coroutine_threadsafe(3, asyncio.new_event_loop())


def a_module_that_is_missing():
    import there_is_no_such_module


def a_name_that_is_missing():
    from asyncio import there_is_no_such_name


def exit():
    raise SystemExit(3)
"""
NAMES = [line[4:-3] for line in WAYS.splitlines() if line.startswith("def ") and line.endswith("():")]


def plain(seen: object, runtime: Runtime) -> Any:
    """Return the same without what differs from run to run: times, addresses, the function's folder."""
    text = json.dumps([seen, *runtime.end()]).replace(str(runtime.app.parent), "/var/task")
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text)
    return json.loads(re.sub(r"0x[0-9a-f]+", "ADDRESS", text))


def what_comes(start: Start, python: str, names: list[str], **options: object) -> dict[str, object]:
    """Return the traceback that each function's error has where it is caught, and where the runtime reports it."""
    runtime = start(WAYS, python, **options)
    seen: dict[str, object] = {}
    for name in names:
        seen[f"{name}, caught"] = runtime.invoke([name, True])["result"]
        if name != "exit":
            seen[f"{name}, raised"] = runtime.invoke([name, False])
    answers, out, errors = plain(seen, runtime)
    return {**answers, "stdout": out.splitlines(), "stderr": errors.splitlines()}


def test_a_traceback_is_what_it_is_without_us(start: Start, python: str) -> None:
    without = what_comes(start, python, NAMES, hook=False, alone=True)
    with_hook = what_comes(start, python, NAMES)

    assert {} == {name: (seen, with_hook[name]) for name, seen in without.items() if seen != with_hook[name]}
    assert "afterglow:" not in json.dumps(with_hook)


def test_a_traceback_is_what_it_is_without_us_where_modules_were_loaded_before(start: Start) -> None:
    """A runtime may have imported asyncio before it reads .pth files."""
    names = ["all_tasks_without_a_loop", "task_of_no_coroutine", "program_with_a_null_byte", "submit_after_shutdown"]
    early = {"PRELOAD": "asyncio,subprocess,concurrent.futures.thread"}
    without = what_comes(start, sys.executable, names, hook=False, alone=True, env=early)
    with_hook = what_comes(start, sys.executable, names, env=early)

    assert without == with_hook


BROKEN_MODULES = {
    "a module that is missing": "import there_is_no_such_module",
    "a name that is missing": "from asyncio import there_is_no_such_name",
    "no Python": "def handler(:",
    "an error": "def load():\n    raise LookupError('on purpose')\n\nload()",
    "no handler": "x = 1",
    "asyncio at work": "import asyncio\nasyncio.run(asyncio.sleep(0, 1 / 0))",
}


@pytest.mark.parametrize("source", BROKEN_MODULES.values(), ids=BROKEN_MODULES)
def test_a_handler_that_cannot_be_imported_is_reported_as_it_is_without_us(
    start: Start, python: str, source: str
) -> None:
    seen = []
    for options in ({"hook": False, "alone": True}, {}):
        runtime = start(source + "\n#def handler", python, **options)
        seen.append(plain(runtime.answer(), runtime))

    assert seen[0] == seen[1]


def test_what_a_dying_thread_prints_is_what_it_is_without_us(start: Start, python: str) -> None:
    source = """
        import threading

        def fail():
            raise LookupError("on purpose")

        def handler(event, context):
            worker = threading.Thread(target=fail, name="worker")
            worker.start()
            worker.join()
        """
    printed = []
    for options in ({"hook": False, "alone": True}, {}):
        runtime = start(source, python, **options)
        runtime.invoke()
        printed.append(plain(None, runtime)[2])

    assert "LookupError: on purpose" in printed[0]
    assert printed[0] == printed[1]
