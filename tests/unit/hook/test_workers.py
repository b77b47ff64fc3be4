"""Work that is given to threads which live on is found, with who gave it and where; their housekeeping is not."""

import re
from pathlib import Path

import pytest
from tests.unit.hook.conftest import Start

WORKERS = Path(__file__).with_name("workers.py").read_text()
HOUSEKEEPERS = Path(__file__).with_name("housekeepers.py").read_text()
TIDY = [
    name for name in re.findall(r"^def (\w+)\(\)", HOUSEKEEPERS, re.MULTILINE) if f"once({name}," not in HOUSEKEEPERS
]
TIDY = [name for name in TIDY if name not in ("listen", "poll")]
EXPECTED = {
    "asked_through_a_queue": ("thread", "send_orders", "in I/O", "app"),
    "queued_behind_another": ("thread", "send_slowly", ".*", "app"),
    "collected_for_a_batch": ("thread", "Thread-.*", "collecting a batch", "app"),
    "in_a_buffer": ("thread", "Exporter.work", "in a buffer", "app"),
    "waits_once": ("thread", "Event.wait", "waiting for at most 60 s", None),
    "sleeps_for_a_retry": ("thread", ".*retry", "sleeping|running", None),
    "raw_thread": ("thread", "sleep", "sleeping|running", None),
    "forked": ("process", "os.fork", "running", None),
    "alarm": ("alarm", "rings", "SIGALRM is due in .* s", None),
}
"""Function of workers.py → what it is, its name, what it is doing, and whose worker does it."""


@pytest.mark.parametrize("way", EXPECTED)
def test_what_an_invocation_gives_is_its_own_at_the_line_that_gave_it(start: Start, way: str, python: str) -> None:
    runtime = start(WORKERS, python)
    runtime.found("waits_once")
    works = [work for work in runtime.found(way) if work["n"] == 2]
    what, name, state, worker = EXPECTED[way]
    _, errors = runtime.end()

    assert [what] * len(works) == [work["what"] for work in works], works
    assert works, f"nothing was found of {way}"
    last = works[-1]
    assert re.fullmatch(name, last["name"]), last
    assert re.fullmatch(state, last["state"]), last
    lines = [line for file, line, _ in last["site"] if file == str(runtime.app)]
    assert runtime.line(f"here: {way}") == lines[0], last
    assert worker == last["worker"]
    assert "afterglow:" not in errors


@pytest.mark.parametrize("way", TIDY)
def test_housekeeping_is_not_mentioned(start: Start, way: str, python: str) -> None:
    runtime = start(HOUSEKEEPERS, python)
    found = [work for _ in range(3) for work in runtime.found(way)]
    assert runtime.extension is not None
    ended = {fact["w"]: fact["at"] for fact in runtime.extension.facts if fact["t"] == "ended"}

    lingering = [work for work in found if ended.get(work["w"], 1 << 62) - work["at"] > 2_000_000]
    assert [] == lingering
    assert "afterglow:" not in runtime.end()[1]


def test_the_next_invocations_order_is_the_next_invocations(start: Start) -> None:
    runtime = start(WORKERS)
    runtime.found("collected_for_a_batch")
    works = runtime.found("collected_for_a_batch")

    assert [2] == [work["n"] for work in works], works


def test_each_piece_that_there_is_no_room_for_is_counted_once(start: Start) -> None:
    runtime = start("""
        import threading, time

        def handler(event, context):
            for _ in range(event):
                threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        """)
    found = runtime.found(230)
    runtime.found(0)
    assert runtime.extension is not None
    unlooked = [fact["unlooked"] for fact in runtime.extension.facts if fact["t"] == "returned"]

    assert 200 == len(found)
    assert [30, 0] == unlooked
