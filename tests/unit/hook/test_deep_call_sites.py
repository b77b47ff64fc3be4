"""Work that is started deep inside a library: the function's own line is among the frames that are kept."""

from pathlib import Path

import pytest
from tests.unit.hook.conftest import Start

LIBRARY = """
import asyncio
import concurrent.futures
import threading
import time


def dive(depth, start):
    from lib import part_{next}

    return start() if depth == 0 else part_{next}.dive(depth - 1, start)


def thread():
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def job():
    concurrent.futures.ThreadPoolExecutor(1).submit(time.sleep, 60)


def task():
    asyncio.get_running_loop().create_task(asyncio.sleep(60))


def process():
    import subprocess

    subprocess.Popen(["sleep", "60"])
"""
APP = """
import asyncio

from lib import part_0

LOOP = asyncio.new_event_loop()


async def main(start, depth):
    part_0.dive(depth, start)  # task


def handler(event, context):
    what, depth = event
    if what == "task":
        return LOOP.run_until_complete(main(part_0.task, depth))
    part_0.dive(depth, getattr(part_0, what))  # call
"""
FILES = 9


@pytest.mark.parametrize("depth", [0, 20, 70])
@pytest.mark.parametrize("what", ["thread", "job", "task", "process"])
def test_the_functions_own_line_is_kept(start: Start, python: str, tmp_path: Path, what: str, depth: int) -> None:
    runtime = start(APP, python, before=put_library)
    [work] = runtime.found([what, depth])
    site = [frame[:2] for frame in work["site"]]

    assert [str(runtime.app), runtime.line("task" if what == "task" else "call")] in site
    assert "part_" in site[0][0]
    assert FILES + 2 >= len(site)


def put_library(folder: Path) -> None:
    (folder / "lib").mkdir()
    for nth in range(FILES):
        source = LIBRARY.replace("{next}", str((nth + 1) % FILES))
        (folder / "lib" / f"part_{nth}.py").write_text(source)
