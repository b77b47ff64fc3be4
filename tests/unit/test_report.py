"""The terminal report, rendered to a console of fixed width: the sentences that matter, within the width."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.unit.sample_runs import (
    CALLS,
    START_MS,
    call,
    ending,
    environment,
    facts,
    finding,
    init,
    invocation,
    records,
    resumed,
)

from afterglow.records import Environment, Loss, Record, Shutdown
from afterglow_collector.document import RunFacts, build_document
from afterglow_collector.report import render
from afterglow_collector.words import UNKNOWN

APP = """import threading

def handler(event, context):
    threading.Thread(target=notify, args=(event["order"],)).start()
    return {"ok": True}
"""


def rendered(
    stream: list[Record], run: RunFacts | None = None, source_root: Path | None = None, width: int = 100
) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None, record=True)
    render(build_document(stream, run or facts()), console, source_root)
    return console.export_text()


def sentence(text: str) -> str:
    """Return the text with line breaks and the gaps between columns folded."""
    return re.sub(r"\s+", " ", text)


HALF = "\ud800"
"""The first half of a surrogate pair: JSON can hold it, UTF-8 cannot."""


def spoilt(entry: Any) -> Any:
    """Return part of a document with HALF at the end of every text that is no keyword, a file's name among them."""
    texts = ("file", "name", "function", "error_origin", "error_message", "detail", "state", "answer", "stacks", "logs")
    if isinstance(entry, dict):
        return {key: spoil(value) if key in texts else spoilt(value) for key, value in entry.items()}
    return [spoilt(each) for each in entry] if isinstance(entry, list | tuple) else entry


def spoil(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [spoil(each) for each in value]
    return value + HALF if isinstance(value, str) else value


def test_half_a_character_in_a_name_does_not_end_the_report(tmp_path: Path) -> None:
    stream = records(finding(), LOST, ENDED, ending(request_id=None, status="init-error"))
    document = spoilt(build_document(stream, facts(logs=["last words"], problem="none")))
    stream_out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    render(document, Console(file=stream_out, width=100), tmp_path)
    stream_out.flush()

    assert "ThreadPoolExecutor" in stream_out.buffer.getvalue().decode()  # type: ignore[attr-defined]  # a BytesIO


LOST = finding(
    finding_id="f2",
    what="executor",
    name="ThreadPoolExecutor-0",
    line=9,
    request_id="request-3",
    request_index=3,
    outcome="lost",
    reason="SHUTDOWN",
    wall_ms=33.0,
    jobs=3,
    at_ms=START_MS + 1355,
)
LONG = finding(
    finding_id="f3",
    name="Thread-1 (" + "notify_" * 40 + ")",
    file="/var/task/" + "deep/" * 40 + "app.py",
    function="handler_" * 30,
    state="waiting in " + "module." * 40,
)
ENDED = ending(
    status="out-of-memory",
    peak_rss_bytes=700 << 20,
    memory_curve=[[-10.0 * n, 700.0 - n] for n in range(300, 0, -1)],
    stacks=[["/var/task/" + "deep/" * 40 + "app.py:7 in " + "f" * 90] * 20] * 9,
)
RUNS: dict[str, tuple[list[Record], dict[str, Any]]] = {
    "clean": (records(), {}),
    "resumed and lost": (records(finding(), resumed(), LOST), {}),
    "long names": (
        records(LONG),
        {"handler": "module_" * 30 + ".handler", "problem": "word " * 60 + "w" * 200},
    ),
    "no layer": ([], {"layer": None}),
    "nothing at all": ([], {"layer": None, "calls": [], "problem": "RIE did not start"}),
    "failed calls": (
        records(),
        {"calls": [CALLS[0], call(2, 756, outcome="crash", http_status=502, error_type="Runtime.ExitError")]},
    ),
    "bad endings": (
        [*records(), ENDED],
        {"calls": [CALLS[0], call(2, 756, outcome="timeout", answer="word " * 80), CALLS[2]]},
    ),
    "forty invocations": (
        [
            environment(),
            init(),
            *(invocation(n, 220 + 536 * n, request_id=f"request-{n}") for n in range(1, 41)),
        ],
        {"calls": [call(n, 219 + 536 * n) for n in range(1, 41)]},
    ),
    "never frozen": (
        records(),
        {"freezer": "none", "calls": [c._replace(frozen_before_ms=0.0) for c in CALLS]},
    ),
}


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize("name", RUNS)
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    stream, changed = RUNS[name]

    lines = rendered(stream, facts(**changed), width=width).splitlines()

    assert [line for line in lines if len(line) > width] == []


def test_a_clean_run_is_told_in_one_calm_sentence() -> None:
    text = rendered(records())

    assert "No work was left behind in 3 invocations." in text
    assert "✗" not in text


def test_a_finding_quotes_the_line_that_started_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)

    text = rendered(records(finding(), resumed()), source_root=tmp_path)

    assert "app.py:4 in handler()" in text
    assert '→ 4 │     threading.Thread(target=notify, args=(event["order"],)).start()' in text
    assert '  5 │     return {"ok": True}' in text


def test_a_finding_in_a_file_that_is_not_here_still_names_it(tmp_path: Path) -> None:
    text = rendered(records(finding(file="/opt/python/vendor.py", line=88)), source_root=tmp_path)

    assert "/opt/python/vendor.py:88" in text


def test_a_finding_says_who_what_then_and_how_much() -> None:
    text = sentence(rendered(records(finding(), resumed())))

    assert "1 piece of work was left behind in 3 invocations, from 1 call site." in text
    assert "A thread went on after its handler had returned" in text
    assert "Started by invocation #1 (request request-)" in text
    assert "Was doing Thread-1 (notify): in I/O" in text
    assert "Then went on in invocation #2, then ended; lay frozen for 502 ms" in text
    assert "Took 1.3 ms of CPU, 22 ms awake, after the return" in text
    assert "What to do Call join() on the thread" in text


def test_lost_work_names_what_ended_it() -> None:
    assert "Then lost at SHUTDOWN" in sentence(rendered(records(LOST)))


def test_work_started_during_init_says_so() -> None:
    text = sentence(rendered(records(finding(request_id=None, request_index=None))))

    assert "Started by Init" in text


def test_the_same_line_in_three_invocations_is_one_entry() -> None:
    each = [finding(finding_id=f"f{n}", request_id=f"request-{n}", request_index=n) for n in (1, 2, 3)]

    text = sentence(rendered(records(*each)))

    assert "3 pieces of work were left behind in 3 invocations, from 1 call site." in text
    assert "[1] A thread went on after its handler had returned, 3 times" in text
    assert "[2]" not in text


def test_the_advice_for_one_line_is_that_of_its_worst_outcome() -> None:
    done = finding(finding_id="f9", outcome="done", line=9)

    text = sentence(rendered(records(done, LOST._replace(what="thread"))))

    assert "Started by invocations #1 and #3" in text
    assert "What it had left to do was not done" in text


def test_no_line_ends_in_blanks() -> None:
    lines = rendered(records(finding(), resumed(), LOST)).splitlines()

    assert [line for line in lines if line.endswith(" ")] == []


def test_what_is_not_known_is_a_dash() -> None:
    text = sentence(rendered(records(finding())))

    assert f"Took {UNKNOWN} of CPU, {UNKNOWN} awake" in text


def test_failed_calls_come_before_findings() -> None:
    failing = facts(calls=[CALLS[0], call(2, 756, outcome="timeout", error_type=None), CALLS[2]], logs=["one", "two"])

    text = rendered(records(finding()), failing)

    assert "✗ Invocation #2 timed out" in text
    assert "log: two" in text
    assert text.index("timed out") < text.index("[1] A thread")


def test_an_error_is_told_with_its_message_and_its_place() -> None:
    answer = {"errorMessage": "bad order", "errorType": "ValueError", "stackTrace": ["a\n", "  File app.py, line 3\n"]}
    failing = call(1, 0, outcome="error", error_type="ValueError", answer=json.dumps(answer), took_ms=3.0)

    text = rendered(records(), facts(calls=[failing], logs=["[ERROR] the same again"]))

    assert "✗ Invocation #1 raised ValueError (3.0 ms)" in text
    assert "Answer bad order File app.py, line 3" in sentence(text)


def test_a_crash_shows_its_status_and_the_end_of_the_log() -> None:
    failing = call(1, 0, outcome="crash", error_type="Runtime.ExitError", answer="", http_status=502, took_ms=9.0)

    text = rendered(records(), facts(calls=[failing], logs=["one", "two"]))

    assert "✗ Invocation #1 ended the runtime: Runtime.ExitError (9.0 ms, HTTP 502)" in text
    assert "\n  log: one\n  log: two\n" in text


def test_an_import_error_in_init_is_on_top() -> None:
    text = rendered([environment(), init(error_type="ModuleNotFoundError")])

    assert "✗ Init failed: the handler's module raised ModuleNotFoundError" in text


def test_without_the_layer_the_report_says_that_nobody_looked() -> None:
    text = sentence(rendered([], facts(layer=None)))

    assert "Run without the layer" in text
    assert "No work was left behind" not in text


def test_a_silent_hook_is_no_proof_of_a_clean_run() -> None:
    text = sentence(rendered([environment(runtime=None), invocation(1, 220, duration_ms=None)]))

    assert "whether work was left behind is not known" in text
    assert "No work was left behind" not in text


def test_dropped_facts_are_owned_up_to() -> None:
    text = sentence(rendered([*records(), Loss(START_MS, "fact", 10, 8, {"buffer-full": 2})]))

    assert "it may have gone unseen" in text
    assert "fact: 2 of 19 dropped (buffer-full 2)" in text


def test_a_ledger_that_does_not_add_up_is_shown_as_such() -> None:
    text = sentence(rendered([*records(), Loss(START_MS, "finding", 5, 3, {})]))

    assert "finding: 2 of 5 not accounted for" in text


def test_an_environment_that_ended_before_all_was_told_is_owned_up_to() -> None:
    cut_short = [record for record in records() if not isinstance(record, Shutdown)]

    assert "Environment 1 ended before Afterglow had told all of it" in sentence(rendered(cut_short))
    assert "ended before Afterglow" not in sentence(rendered(records()))


def test_sources_are_named_where_they_differ() -> None:
    stream = [
        environment(),
        init(),
        invocation(1, 220),
        invocation(2, 757, sources={"duration_ms": "observed"}),
    ]

    assert "duration: hook, but observed in #2" in sentence(rendered(stream))


def test_escape_codes_of_the_function_do_not_reach_the_terminal() -> None:
    hostile = finding(name="Thread \x1b[2J\x1b]0;owned\x07", state="running\x1b[31m")
    failing = facts(calls=[call(1, 0, outcome="error", answer="\x1b[2J")], logs=["\x1b[2J"])

    assert "\x1b" not in rendered(records(hostile), failing)


def test_rich_markup_of_the_function_is_shown_as_it_is() -> None:
    assert "[bold]x[/bold]" in rendered(records(finding(name="[bold]x[/bold]")))


def test_a_terminal_without_unicode_gets_ascii() -> None:
    raw = io.BytesIO()
    console = Console(width=80, file=io.TextIOWrapper(raw, encoding="ascii"), color_system=None)

    render(build_document(records(finding(), resumed(), LOST), facts()), console, None)
    console.file.flush()

    assert b"#2" in raw.getvalue()
    assert b"\xc2" not in raw.getvalue()


def test_the_environment_of_a_record_is_its_own() -> None:
    """Two environments: findings with equal ids are two, and both are drawn."""
    other: Environment = environment("env-2", at=700)
    stream = [environment(), init(), invocation(1, 220), finding(), other, init(700)]
    stream += [invocation(1, 757, request_id="request-2"), finding(request_id="request-2", line=9)]

    text = rendered(stream)

    assert "[2] A thread" in text


def test_what_crosses_invocations_is_told_beside_lingering_work() -> None:
    states = [
        finding(finding_id="s-1", kind="state", what="threads-left", state="5 threads from 5 invocations", changes=[]),
        finding(
            finding_id="s-2", kind="ending", what="killed-child", file=None, line=None, function=None,
            state="the kernel killed convert", changes=[],
        ),
    ]  # fmt: skip
    text = sentence(rendered([environment(), init(), invocation(1, START_MS), *states]))

    assert "No work was left behind" in text
    assert "Threads pile up" in text
    assert "5 threads from 5 invocations" in text
    assert "The kernel killed a child process for memory" in text
    assert "the kernel killed convert" in text
