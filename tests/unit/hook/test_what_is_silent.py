"""What merely waits, or is over, is not mentioned: not in its own invocation, and not in the next one."""

import re
from pathlib import Path

import pytest
from tests.unit.hook.conftest import Start
from tests.unit.hook.runtime import Extension

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
        import threading, time

        go, gone = threading.Event(), threading.Event()

        def burn():
            go.wait()
            until = time.thread_time() + 0.02
            while time.thread_time() < until:
                pass
            gone.set()
            threading.Event().wait()

        worker = threading.Thread(target=burn, daemon=True)
        worker.start()  # here

        def handler(event, context):
            if event == "go":
                threading.Timer(0.05, go.set).start()
        """)
    runtime.found()
    works = runtime.found("go")
    while not [work for work in works if work["name"] == "burn"]:
        works = runtime.found()
    (work,) = works

    assert (None, None, "looked idle, then ran on") == (work["id"], work["n"], work["state"])
    assert [str(runtime.app), runtime.line("here"), "<module>"] == work["site"][0]
