"""Bad endings in the terminal report: what happened, where, with what, how that is known, what to do."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.unit.sample_runs import CALLS, MB, START_MS, call, ending, environment, facts, init, invocation

from afterglow.records import Record, Sample
from afterglow_collector.document import build_document
from afterglow_collector.report import render

APP = """import socket, time

def wait():
    time.sleep(60)

def listen(): socket.create_server(("", 0)).accept()

def handler(event, context):
    wait()
"""


def told(stream: list[Record], calls: list[Any] | None = None, root: Path | None = None, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None, record=True)
    render(build_document(stream, facts(calls=CALLS if calls is None else calls)), console, root)
    return console.export_text()


def sentence(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def second_call(outcome: str = "timeout", **changed: Any) -> list[Any]:
    return [CALLS[0], call(2, 756, outcome=outcome, took_ms=3004.0, **{"answer": "", **changed})]


def run_with(status: str = "timeout", **changed: Any) -> list[Record]:
    """Two invocations, the second of which ended so."""
    ended = invocation(2, 757, status=status, duration_ms=None)
    return [environment(), init(), invocation(1, 220), ended, ending(status=status, **changed)]


def looks(*cpu_ms: float) -> list[Record]:
    """Samples of the second invocation, a second apart."""
    return [
        Sample(START_MS + 757 + nth * 1000, 2, 36 * MB, ms, None, None, 1, 0) for nth, ms in enumerate(cpu_ms, start=0)
    ]


def test_a_timeout_is_told_with_the_line_that_it_was_at(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)

    text = told(run_with(), second_call(), tmp_path)

    assert "✗ Invocation #2 timed out after 3 s (3.00 s)" in text
    assert "app.py:4 in wait()" in text
    assert "→ 4 │     time.sleep(60)" in text


def test_every_thread_is_shown_with_its_way_there() -> None:
    text = sentence(told(run_with(), second_call()))

    assert "Handler in app.py:4 in wait() from app.py:9 in handler()" in text
    assert "Thread in socket.py:706 in readinto() from app.py:6 in listen()" in text


def test_a_recursion_is_one_line() -> None:
    text = sentence(told(run_with(stacks=[["/var/task/app.py:3 in walk"] * 20]), second_call()))

    assert "Handler" not in text, "the title says it all"
    text = sentence(
        told(run_with(stacks=[["/var/task/a.py:3 in walk"] * 9 + ["/var/task/a.py:8 in h"]]), second_call())
    )
    assert "in a.py:3 in walk(), 9 times over from a.py:8 in h()" in text


@pytest.mark.parametrize(
    ("cpu_ms", "words", "advice"),
    [
        ((10.0, 20.0), "10 ms of the 1.00 s that were watched: it waited", "time limit of its own"),
        ((10.0, 10.0), "under 10 ms of the 1.00 s that were watched: it waited", "time limit of its own"),
        ((10.0, 900.0), "890 ms of the 1.00 s that were watched: it computed", "CPU comes with memory"),
        ((0.0, 300.0), "300 ms of the 1.00 s that were watched: it did both", "time limit of its own"),
    ],
)
def test_a_timeout_says_whether_it_waited_or_computed(cpu_ms: tuple[float, ...], words: str, advice: str) -> None:
    text = sentence(told([*run_with(), *looks(*cpu_ms)], second_call()))

    assert words in text
    assert advice in text


def test_memory_that_was_no_trouble_takes_a_line() -> None:
    lines = told(run_with(), second_call()).splitlines()

    assert ["    Memory       ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁  40 MB at most, of 512 MB"] == [
        line for line in lines if "Memory  " in line
    ]


def test_memory_that_killed_it_is_drawn_up_to_the_limit() -> None:
    curve = [[-100.0 * n, 512.0 - 24 * n] for n in range(20, 0, -1)]
    evidence = {"source": "observed", "detail": "failure", "oom_kills": 1, "peak_rss_bytes": 500 * MB}

    text = told(run_with("out-of-memory", memory_curve=curve, **evidence), second_call("crash", http_status=502))

    assert "✗ Invocation #2 was killed for its memory, at 512 MB (3.00 s, HTTP 502)" in text
    assert "Known from the kernel killed 1 process for memory (source: observed)" in sentence(text)
    assert re.search(r"512 MB ┤┄* *[▁▂▃▄▅▆▇█]+$", text, re.MULTILINE), text
    assert re.search(r"2\.00 s before +the end$", text, re.MULTILINE), text
    assert "Raise the memory size" in text


def test_memory_past_the_limit_shows_where_the_limit_was() -> None:
    curve = [[-100.0 * n, 2048.0 - 100 * n] for n in range(20, 0, -1)]

    text = told(run_with(memory_curve=curve, peak_rss_bytes=2000 * MB), second_call())

    assert "on AWS it would have been killed for it" in sentence(text)
    assert re.search(r"512 MB ┤[▁▂▃▄▅▆▇█┄]*", text), text
    assert "Raise the memory size" in text


def test_memory_past_the_limit_is_told_of_a_good_invocation_too() -> None:
    greedy = invocation(1, 220, peak_rss_bytes=513 * MB)

    text = told([environment(), init(), greedy, invocation(2, 757)], CALLS[:2])

    assert "#1 took more memory than is configured: on AWS that gets a function killed." in sentence(text)


def test_a_crash_names_the_signal_and_the_native_call() -> None:
    stacks = [["/usr/lib/python3.11/ctypes/__init__.py:519 in string_at", "/var/task/app.py:4 in wait"]]

    text = told(run_with("crash", source="hook", detail="Segmentation fault", stacks=stacks), second_call("crash"))

    assert "✗ Invocation #2 crashed: Segmentation fault" in text
    assert "in ctypes/__init__.py:519 in string_at() from app.py:4 in wait()" in sentence(text)
    assert "A fatal signal comes from native code" in text


def test_a_crash_in_a_thread_says_so() -> None:
    stacks = [
        ["/var/task/app.py:4 in poke", "/usr/lib/python3.11/threading.py:982 in run"],
        ["/var/task/app.py:9 in handler"],
    ]

    text = told(run_with("crash", source="hook", detail="Segmentation fault", stacks=stacks), second_call("crash"))

    assert "In a thread in app.py:4 in poke() Handler in app.py:9 in handler()" in sentence(text)


def test_an_exit_is_told_with_its_status() -> None:
    answer = json.dumps({"errorMessage": "RequestId: 1 Error: Runtime exited with error: exit status 3"})
    evidence = {"source": "platform", "detail": "releasefail", "stacks": []}

    text = told(run_with("crash", **evidence), second_call("crash", http_status=502, answer=answer))

    assert "✗ Invocation #2 ended the runtime (exit status 3) (3.00 s, HTTP 502)" in text
    assert "sys.exit, os._exit, or a signal" in text


def test_an_exception_is_told_with_its_origin(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    failing = invocation(2, 757, status="error", error_type="KeyError", error_origin="/var/task/app.py:4 in wait")
    answer = json.dumps({"errorMessage": "'id'", "errorType": "KeyError", "stackTrace": []})

    text = told([environment(), init(), failing], [second_call("error", answer=answer)[1]], tmp_path)

    assert "✗ Invocation #2 raised KeyError" in text
    assert "→ 4 │     time.sleep(60)" in text
    assert "Answer 'id'" in sentence(text)


def test_an_init_that_failed_names_the_calls_that_it_was_for() -> None:
    failed = ending(
        request_id=None,
        index=None,
        status="init-error",
        source="hook",
        detail="ImportError",
        stacks=[["/var/task/db.py:1 in <module>", "/var/task/app.py:2 in <module>"]],
    )

    text = told([environment(), init(error_type="ImportError"), failed], [call(1, 0, outcome="error")])

    assert "✗ Init, for invocation #1, failed: the handler's module raised ImportError (31 ms)" in text
    assert "Import in db.py:1 in <module> from app.py:2 in <module>" in sentence(text)
    assert "No handler returned, so there was no work to leave behind." in text


def test_the_same_ending_at_the_same_place_is_told_once() -> None:
    again = [
        invocation(1, 220, status="timeout", duration_ms=None),
        ending(request_id="request-1", index=1),
        invocation(2, 757, status="timeout", duration_ms=None),
        ending(),
    ]

    text = told([environment(), init(), *again], [call(1, 0, outcome="timeout"), call(2, 756, outcome="timeout")])

    assert "✗ Invocations #1 and #2 timed out after 3 s (31 ms and 31 ms)" in text
    assert 1 == text.count("timed out after")


def test_the_verdict_speaks_of_those_that_returned() -> None:
    assert "No work was left behind in the 1 invocation that returned." in told(run_with(), second_call())


def test_the_timeline_marks_where_it_was_cut_short() -> None:
    text = told(run_with(), second_call())

    assert re.search(r"^  #2 timeout +3\.00 s .*█╳", text, re.MULTILINE), text  # noqa: RUF001 - a cross
    assert "╳ cut short" in text  # noqa: RUF001


def test_without_unicode_the_curve_is_drawn_in_ascii() -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(width=80, file=output, color_system=None)

    render(build_document(run_with(), facts(calls=second_call())), console, None)
    output.seek(0)

    assert "Memory       ....................  40 MB at most, of 512 MB" in output.read()


def test_an_ending_is_told_where_the_answer_looked_well() -> None:
    text = told(run_with(), second_call("ok"))

    assert "✗ Invocation #2 timed out" in text


NOTHING_RAISED = {
    "async def": "got no answer: the handler is `async def`, and Lambda's Python runtime does not await it",
    "coroutine of main": "got no answer: the handler returned a coroutine of main(), which nobody awaits",
    "generator": "got no answer: the handler is a generator (it has a `yield`)",
    "generator of handler.<locals>.<genexpr>": "the handler returned a generator, and Lambda's Python runtime",
    "async generator of rows": "got no answer: the handler returned an async generator of rows()",
    "$.report.until: datetime": "got no answer: the result cannot become JSON, for $.report.until is a datetime",
    "$[0]: int64": "for $[0] is an int64",
    "$.a[tuple]: a key of type tuple": "for $.a[tuple] is a key of type tuple",
    "$[9]: not found up to here": "got no answer: the result cannot become JSON (",
}


@pytest.mark.parametrize(("cause", "words"), NOTHING_RAISED.items())
def test_where_nothing_was_raised_the_cause_is_said_and_the_environment_lives(cause: str, words: str) -> None:
    stream = run_with("error", source="hook", detail="Runtime.MarshalError", cause=cause, own=[[0]], oom_kills=0)
    text = sentence(told(stream, second_call("error")))

    assert words in text
    assert "raised" not in text
    assert "What to do" in text
    assert "The environment ended" not in text


def test_what_the_platform_says_of_an_error_was_not_raised() -> None:
    stream = [environment(), init(), invocation(1, 220, status="error", error_type="Runtime.UnmarshalError")]

    assert "✗ Invocation #1 failed: Runtime.UnmarshalError" in told(stream, [call(1, 200, outcome="error")])


def test_an_exit_is_told_with_the_call_that_made_it() -> None:
    answer = json.dumps({"errorMessage": "RequestId: 1 Error: Runtime exited with error: exit status 3"})
    stream = run_with("crash", source="platform", detail="failure", cause="os._exit", own=[[0]])
    text = sentence(told(stream, second_call("crash", answer=answer, http_status=502)))

    assert "✗ Invocation #2 ended the runtime with os._exit() (exit status 3)" in text
    assert "the hook saw the call to os._exit, and then the process was gone" in text


def test_an_init_that_exits_at_each_try_is_one_block_with_the_advice_for_exits() -> None:
    exits = [
        ending(request_id=None, index=None, status="init-error", source="observed", detail=detail, cause="os._exit")
        for detail in (None, "failure")
    ]
    text = sentence(told([environment(), init(), *exits], [call(1, 200, outcome="error")]))

    assert "failed: the runtime ended with os._exit() while it imported the handler's module" in text
    assert 1 == text.count("with os._exit()")
    assert "Something ended the process" in text


def test_the_sandbox_knows_better_than_the_paths_which_frames_are_the_functions_own() -> None:
    stack = ["/var/task/lib/a.py:9 in read", "… 12 more", "/var/task/app.py:4 in wait", "/var/task/app.py:9 in handler"]
    document = build_document(run_with(stacks=[stack], own=[[2, 3]]), facts(calls=second_call()))

    assert {"file": "/var/task/app.py", "line": 4, "function": "wait"} == document["endings"][0]["where"]
    assert (
        "/var/task/lib/a.py"
        == build_document(run_with(stacks=[stack], own=None), facts(calls=second_call()))["endings"][0]["where"]["file"]
    ), "an older record: paths alone tell"


def test_two_hangs_of_the_functions_own_in_one_library_are_two_blocks() -> None:
    def hang(index: int, line: int) -> Record:
        stack = ["/var/task/lib/a.py:9 in read", f"/var/task/app.py:{line} in wait"]
        return ending(index=index, request_id=CALLS[index - 1].request_id, stacks=[stack], own=[[1]])

    calls = [call(1, 200, outcome="timeout", answer=""), call(2, 756, outcome="timeout", answer="")]
    ends = [invocation(n, at, status="timeout", duration_ms=None) for n, at in ((1, 220), (2, 757))]
    apart = told([environment(), init(), *ends, hang(1, 4), hang(2, 5)], calls)
    together = told([environment(), init(), *ends, hang(1, 4), hang(2, 4)], calls)

    assert [2, 1] == [text.count("✗") for text in (apart, together)]


def test_where_no_frame_is_the_functions_own_that_is_said() -> None:
    text = told(run_with(stacks=[["/var/task/lib/a.py:9 in read"]], own=[[]]), second_call())

    assert "/var/task/lib/a.py:9" in text.replace("lib/a.py:9", "/var/task/lib/a.py:9")
    assert "no line of the function's own code was running" in text
