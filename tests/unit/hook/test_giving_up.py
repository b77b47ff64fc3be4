"""When the hook gives up, the function goes on as without it, whatever stderr is by then."""

import pytest
from tests.unit.hook.conftest import Start

GIVES_UP = """
import os
import threading


class Odd(threading.Thread):
    looked = False

    @property
    def name(self):
        raise LookupError("on purpose")

    @name.setter
    def name(self, value):
        pass

    def run(self):
        pass


def spoil():
    {spoil}


def handler(event, context):
    spoil()
    worker = Odd()
    try:
        worker.start()
    except LookupError:  # Python itself asks for the name of a thread that it starts, in some versions
        return "its name"
    worker.join()
    return "done"
"""
FULL = """read, write = os.pipe(); os.set_blocking(write, {blocking})
    os.set_blocking(write, False)
    try:
        while os.write(write, b"x" * 4096): pass
    except BlockingIOError:
        pass
    try:
        while os.write(write, b"x"): pass
    except BlockingIOError:
        pass
    os.set_blocking(write, {blocking}); os.dup2(write, 2); globals()["kept"] = read"""
SPOILT = {
    "closed": "os.closerange(2, 3)",
    "a broken pipe": "read, write = os.pipe(); os.close(read); os.dup2(write, 2)",
    "a broken pipe that kills": "import signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL); "
    "read, write = os.pipe(); os.close(read); os.dup2(write, 2)",
    "a full pipe": FULL.format(blocking=True),
    "a full non-blocking pipe": FULL.format(blocking=False),
    "read-only": 'os.dup2(os.open("/dev/null", os.O_RDONLY), 2)',
    "a full disk": 'os.dup2(os.open("/dev/full", os.O_WRONLY), 2)',
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_hook_that_gives_up_needs_no_stderr(start: Start, python: str, spoil: str) -> None:
    runtime = start(GIVES_UP.format(spoil=spoil), python, alone=True)

    assert {"id": "r-1", "result": "done"} == runtime.invoke()
    assert {"id": "r-2", "result": "done"} == runtime.invoke()


def test_a_hook_that_gives_up_says_so_once(start: Start, python: str) -> None:
    runtime = start(GIVES_UP.format(spoil="pass"), python, alone=True)
    runtime.invoke()
    runtime.invoke()

    assert ["afterglow: hook switched off: LookupError: on purpose"] == runtime.end()[1].splitlines()


EDGE = """
import os
import sys
import threading


def at_depth(depth, do):
    return do() if depth == 0 else at_depth(depth - 1, do)


def start_one():
    worker = threading.Thread(target=print, args=("",))
    worker.start()
    worker.join()
    return "started"


def handler(event, context):
    os.close(2)
    started = 0
    for room in range(300, 0, -1):
        sys.setrecursionlimit(1000)
        try:
            started += at_depth(1000 - room, start_one) == "started"
        except RecursionError:
            pass
    return started > 0
"""


def test_at_the_edge_of_the_stack_the_hook_neither_raises_nor_gives_up(start: Start, python: str) -> None:
    runtime = start(EDGE, python)

    assert {"id": "r-1", "result": True} == runtime.invoke()
    assert runtime.extension is not None
    runtime.extension.read_what_is_there()
    assert [] == [fact for fact in runtime.extension.facts if fact["t"] == "gave-up"]
