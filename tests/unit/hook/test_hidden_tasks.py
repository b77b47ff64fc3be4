"""Where C code keeps asyncio's tasks to itself, as from Python 3.14 on: found all the same, or said aloud.

Older interpreters do so as well once _asyncio has lost its table before asyncio is imported (on 3.13 asyncio.timeout
does not work any more then, and with it the end of asyncio.run that has used an executor).
"""

from pathlib import Path

import pytest
from tests.unit.hook.conftest import PYTHONS, Start
from tests.unit.hook.runtime import Extension

HIDE = """\
import _asyncio
for table in ("_all_tasks", "_scheduled_tasks", "_eager_tasks"):
    if hasattr(_asyncio, table):
        delattr(_asyncio, table)
"""
WORKS = HIDE + Path(__file__).with_name("works.py").read_text()
TIDY = HIDE + Path(__file__).with_name("tidy.py").read_text()
WAYS = {
    "task": "main",
    "task_of_ensure_future": "main",
    "task_of_task": "outer",
    "task_in_thread": "task_in_thread",
    "job_of_loop": "main",
}
SILENT = ["task_that_is_done", "task_that_waits_for_work", "loop_in_a_thread"]


@pytest.fixture(params=["3.12", "3.13", "3.14"])
def monitored(request: pytest.FixtureRequest) -> str:
    """Give each interpreter that has sys.monitoring."""
    if request.param not in PYTHONS:
        pytest.skip(f"there is no Python {request.param} on this machine")
    return PYTHONS[request.param]


@pytest.mark.parametrize("way", WAYS)
def test_a_hidden_task_is_found_with_the_line_that_created_it(start: Start, monitored: str, way: str) -> None:
    runtime = start(WORKS, monitored)
    works = runtime.found(way)
    _, errors = runtime.end()

    assert [(str(runtime.app), runtime.line(f"here: {way}"), WAYS[way])] == [
        (*work["site"][0][:2], work["site"][0][2].rpartition(".")[2]) for work in works
    ]
    assert errors == ""


@pytest.mark.parametrize("way", SILENT)
def test_a_hidden_task_that_is_over_or_waits_for_work_is_not_mentioned(start: Start, monitored: str, way: str) -> None:
    runtime = start(TIDY, monitored)

    assert [] == runtime.found(way) + runtime.found(way)


def test_what_is_no_coroutine_is_refused_without_a_frame_of_ours(start: Start, monitored: str) -> None:
    source = (
        HIDE
        + """
import asyncio

async def main():
    asyncio.create_task(5)

def handler(event, context):
    asyncio.run(main())
"""
    )
    answer = start(source, monitored).invoke()

    assert "TypeError" == answer["error"]["errorType"]
    assert "afterglow" not in "".join(answer["error"]["stackTrace"])


def test_where_others_have_taken_the_tools_it_says_so_once(start: Start, extension: Extension, monitored: str) -> None:
    take = """\
import sys
for tool in (3, 4):
    if sys.monitoring.get_tool(tool) is None:
        sys.monitoring.use_tool_id(tool, "somebody else")
"""
    runtime = start(take + WORKS, monitored)
    works = runtime.found("task") + runtime.found("task")
    unseen = [(fact["what"], fact["why"]) for fact in extension.facts if fact["t"] == "unseen"]
    why = "other tools have taken all of sys.monitoring's free ids"

    assert [] == works
    assert [("asyncio-task", why)] == unseen
    assert f"afterglow: no asyncio-task can be found here: {why}\n" == runtime.end()[1]


def test_a_loop_in_c_says_so_once(start: Start, extension: Extension, monitored: str) -> None:
    source = (
        HIDE
        + """
import asyncio, os
open(os.path.dirname(__file__) + "/uvloop.py", "w").close()  # its compiled code makes tasks as we see none
import uvloop

def handler(event, context):
    pass
"""
    )
    runtime = start(source, monitored)
    runtime.invoke()

    assert ["uvloop makes them in C"] == [fact["why"] for fact in extension.facts if fact["t"] == "unseen"]
