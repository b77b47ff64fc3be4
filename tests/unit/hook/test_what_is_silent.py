"""What merely waits, or is over, is not mentioned: not in its own invocation, and not in the next one."""

import re
import time
from pathlib import Path

import pytest
from tests.unit.hook.conftest import Start
from tests.unit.hook.runtime import LIMIT_S, Extension, Runtime

TIDY = Path(__file__).with_name("tidy.py").read_text()
WAYS = re.findall(r"^def (\w+)\(\)", TIDY, re.MULTILINE)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_found(start: Start, way: str) -> None:
    runtime = start(TIDY)

    assert [] == runtime.found(way)
    assert [] == runtime.found(way)


def test_every_python_is_silent(start: Start, extension: Extension, python: str) -> None:
    runtime = start(TIDY, python)
    found = {way: runtime.found(way) for way in WAYS}

    assert {way: [] for way in WAYS} == found
    assert "gave-up" not in [fact["t"] for fact in extension.facts]
    assert "afterglow:" not in runtime.end()[1]


def test_what_init_has_started_is_a_design(start: Start) -> None:
    runtime = start("""
        import threading, time

        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()

        def handler(event, context):
            pass
        """)

    assert [] == runtime.found()
    assert [] == runtime.found()


def test_what_init_has_started_is_mentioned_once_it_works_between_two_invocations(start: Start) -> None:
    runtime = start("""
        import os, threading, time

        go = threading.Event()

        def burn():
            go.wait()
            until = time.thread_time() + 0.02
            while time.thread_time() < until:
                pass
            open(os.path.dirname(__file__) + "/gone", "w").close()
            threading.Event().wait()

        worker = threading.Thread(target=burn, daemon=True)
        worker.start()  # here

        def handler(event, context):
            if event == "go":
                threading.Timer(0.3, go.set).start()
        """)
    runtime.found()
    runtime.found("go")
    until = time.monotonic() + LIMIT_S
    while not (runtime.app.parent / "gone").exists() and time.monotonic() < until:
        time.sleep(0.01)
    (work,) = [work for work in runtime.found() if work["name"] == "burn"]

    assert (None, None, "looked idle, then ran on") == (work["id"], work["n"], work["state"])
    assert [str(runtime.app), runtime.line("here"), "<module>"] == work["site"][0]


LOOK_UP = '''
    import os, queue, socketserver, threading, time

    HERE = os.path.dirname(__file__)

    def look_up():
        """Burn 20 ms if we are told to."""
        if os.path.exists(HERE + "/go"):
            os.unlink(HERE + "/go")
            until = time.thread_time() + 0.02
            while time.thread_time() < until:
                pass
            os.mkdir(HERE + "/done")

    class Server(socketserver.TCPServer):
        service_actions = staticmethod(look_up)

    def serves():
        Server(("127.0.0.1", 0), socketserver.BaseRequestHandler).serve_forever(0.3)

    def sleeps():
        while True:
            time.sleep(0.3)
            look_up()

    def takes_jobs():
        jobs = queue.Queue()
        while True:
            try:
                jobs.get(timeout=0.3)
            except queue.Empty:
                look_up()

    worker = threading.Thread(target={}, daemon=True)
    worker.start()

    def handler(event, context):
        pass
    '''
LOOKING_UP = ["serves", "sleeps", "takes_jobs"]


def burn(runtime: Runtime) -> None:
    """Let the thread burn CPU once, and go back to its place."""
    (runtime.app.parent / "go").touch()
    done = runtime.app.parent / "done"
    by_s = time.monotonic() + LIMIT_S
    while not done.exists():
        assert time.monotonic() < by_s, f"nobody has looked up: {runtime.end()}"
        time.sleep(0.001)
    done.rmdir()
    while not all(_sleeps(task) for task in Path(f"/proc/{runtime.process.pid}/task").iterdir()):
        time.sleep(0.001)


def _sleeps(task: Path) -> bool:
    return (task / "stat").read_text().rpartition(") ")[2].startswith("S")


@pytest.mark.parametrize("way", LOOKING_UP)
def test_a_thread_that_looks_up_at_the_same_place_is_not_found_by_cpu_alone(start: Start, way: str) -> None:
    """On a loaded machine, a thread's clock can be charged with milliseconds that it never used."""
    runtime = start(LOOK_UP.replace("{}", way))
    burn(runtime)  # it has got to where it stays
    works = runtime.found()
    for _ in range(3):
        burn(runtime)
        works += runtime.found()
        works += runtime.found()

    assert [] == works


@pytest.mark.parametrize("way", LOOKING_UP)
def test_a_thread_that_works_in_one_gap_after_the_other_is_found_wherever_it_stands(start: Start, way: str) -> None:
    runtime = start(LOOK_UP.replace("{}", way))
    burn(runtime)
    runtime.found()
    burn(runtime)
    first = runtime.found()
    burn(runtime)
    second = runtime.found()

    assert [] == first
    assert [(way, "looked idle, then ran on")] == [(work["name"], work["state"]) for work in second]
