"""Every way to leave work behind: the hook says what it is, and which line of the user's code started it."""

from pathlib import Path

import pytest
from tests.unit.hook.conftest import Start

WORKS = Path(__file__).with_name("works.py").read_text()
EXPECTED = {
    "thread": ("thread", "wait_long", "thread"),
    "thread_subclass": ("thread", "sender", "thread_subclass"),
    "thread_in_helper": ("thread", "wait_long", "start_for"),
    "thread_of_partial": ("thread", "sleep", "thread_of_partial"),
    "timer": ("timer", "wait_long", "timer"),
    "timer_for_ever": ("timer", "wait_long", "timer_for_ever"),
    "executor": ("executor", "wait_long", "executor"),
    "executor_queue": ("executor", "wait_long", "executor_queue"),
    "executor_map": ("executor", "sleep", "executor_map"),
    "process_executor": ("executor", "sleep", "process_executor"),
    "thread_pool": ("executor", "wait_long", "thread_pool"),
    "thread_pool_map": ("executor", "sleep", "thread_pool_map"),
    "process_pool": ("executor", "sleep", "process_pool"),
    "task": ("asyncio-task", "notify", "main"),
    "task_of_ensure_future": ("asyncio-task", "notify", "main"),
    "task_of_task": ("asyncio-task", "notify", "outer"),
    "task_cancelled": (None, "notify", "main"),
    "task_in_thread": ("asyncio-task", "notify", "task_in_thread"),
    "job_of_loop": ("executor", "wait_long", "main"),
    "program": ("process", "sleep", "program"),
    "program_in_shell": ("process", "sh", "program_in_shell"),
    "program_spawned": ("process", "sleep", "program_spawned"),
    "program_of_loop": ("process", "sleep", "main"),
    "process": ("process", "worker", "process"),
    "process_spawned": ("process", "worker", "process_spawned"),
}
"""What is left by each function of works.py: its kind, its name, and the function that started it."""

JOBS = {"executor_queue": 3, "executor_map": 2}


@pytest.mark.parametrize("way", EXPECTED)
def test_work_is_found_with_the_line_that_started_it(start: Start, way: str) -> None:
    runtime = start(WORKS)
    works = runtime.found(way)
    what, name, function = EXPECTED[way]
    _, errors = runtime.end()

    assert [(what, name)] == [(work.get("what"), work["name"].rpartition(".")[2]) for work in works]
    (work,) = works
    file, line, where = work["site"][0]
    assert (str(runtime.app), runtime.line(f"here: {way}"), function) == (file, line, where.rpartition(".")[2])
    assert ("r-1", 1, JOBS.get(way, 1)) == (work["id"], work["n"], work.get("jobs", 1))
    assert errors == ""


def test_every_python_finds_the_same(start: Start, python: str) -> None:
    runtime = start(WORKS, python)
    seen = {}
    for way in EXPECTED:
        works = runtime.found(way)
        seen[way] = [
            (work.get("what"), work["name"].rpartition(".")[2], *work["site"][0][:2], work["id"]) for work in works
        ]
    _, errors = runtime.end()

    assert {
        way: [(what, name, str(runtime.app), runtime.line(f"here: {way}"), f"r-{number}")]
        for number, (way, (what, name, _)) in enumerate(EXPECTED.items(), 1)
    } == seen
    assert "afterglow:" not in errors


LONG_NAMES = """
import threading, time
Long = type("x" * 60_000, (threading.Thread,), {"run": lambda self: time.sleep(60)})
start_one = "def start():\\n    Long(name='n' * 60_000, daemon=True).start()\\n"
exec(compile(start_one, "f" * 60_000, "exec"))
def handler(event, context):
    for _ in range(3):
        start()
"""


def test_names_of_any_length_hide_no_finding(start: Start) -> None:
    """A message holds 64 KB: what all of an invocation left behind."""
    runtime = start(LONG_NAMES)
    works = runtime.found("handler")
    _, errors = runtime.end()

    assert 3 == len(works)
    assert errors == ""
    assert all(len(work["name"]) <= 1024 and len(work["site"][0][0]) <= 1024 for work in works)
