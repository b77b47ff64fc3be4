"""`afterglow collect --from logs` as a process, against log groups over real HTTP."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from tests.integration.logs.conftest import Collect, Logs
from tests.integration.sinks.stage import Front, closed_port
from tests.unit.logs.lines import report_json, report_text
from tests.unit.sinks.samples import batch_of, finding, init, invocation

from afterglow.records import encode

MakeLogs = Callable[[], Logs]
NOISE = ["START RequestId: 1 Version: $LATEST", "x" * 200_000, '{"afterglow": "hologram"}', "END RequestId: 1"]


def test_functions_without_the_layer_get_their_figures(collect: Collect, logs: MakeLogs) -> None:
    text, events = logs(), logs()
    text.put(report_text(init_ms=200.0), *[report_text(duration_ms=10.0)] * 9, *NOISE)
    events.put(report_json(status="timeout", metrics={"durationMs": 3000.0, "billedDurationMs": 3000}))
    done = collect(text.group, events.group, "--output", "json")

    assert 0 == done.status, done.errors
    assert (10, 1, 0) == tuple(done.function(text.function)[name] for name in ("invocations", "cold_starts", "errors"))
    assert {"broken": 1, "enormous": 0} == done.function(text.function)["unread"]
    assert (1, 1) == tuple(done.function(events.function)[name] for name in ("invocations", "timeouts"))
    assert 0.375 == done.function(events.function)["cost"]["gb_seconds"]


def test_functions_with_the_layer_show_their_lingering_work_as_well(collect: Collect, logs: MakeLogs) -> None:
    layered = logs()
    layered.put(*batch_of(init(), invocation(1), finding()).splitlines(), report_text(init_ms=200.0))
    row = collect(layered.group, "--output", "json").function(layered.function)

    assert (1, 1, 1) == (row["invocations"], row["cold_starts"], row["layer"]["lingering"])
    assert ("arm64", 74.0) == (row["arch"], row["layer"]["import_ms"]["p50"])


def test_the_tables_name_every_function(collect: Collect, logs: MakeLogs) -> None:
    one, other = logs(), logs()
    one.put(report_text(init_ms=200.0))
    other.put(report_text(), *batch_of(finding()).splitlines())
    done = collect(one.group, other.group)

    assert 0 == done.status, done.errors
    for title in ("Cold starts", "Duration", "Memory", "Cost", "Work after the return"):
        assert title in done.output
    assert 4 == done.output.count(one.function)
    assert 4 == done.output.count(other.function)
    assert "? x86_64 is assumed" in done.output


def test_a_star_stands_for_all_groups_that_begin_so(collect: Collect, logs: MakeLogs) -> None:
    one = logs()
    one.put(report_text())
    done = collect(f"{one.group[:-3]}*", "--output", "json")

    assert [one.group] == done.document["groups"]


def test_many_pages_are_all_read(collect: Collect, logs: MakeLogs) -> None:
    busy = logs()
    busy.put(*[report_text()] * 10_500)
    done = collect(busy.group, "--since", "2h", "--output", "json")

    assert 10_500 == done.function(busy.function)["invocations"]


def test_throttling_slows_it_down_and_costs_nothing_else(collect: Collect, logs: MakeLogs, front: Front) -> None:
    one = logs()
    one.put(report_text())
    for _ in range(3):
        front.fail("FilterLogEvents", 400, "ThrottlingException")
    done = collect(one.group, "--since", "2h", "--output", "json")

    assert 1 == done.function(one.function)["invocations"]


def test_it_goes_on_where_it_was_interrupted(collect: Collect, logs: MakeLogs, front: Front, tmp_path: Path) -> None:
    one = logs()
    one.put(report_text(), ago_ms=6 * 3_600_000)
    one.put(report_text(), ago_ms=2 * 3_600_000)
    cursor = tmp_path / "pull.json"
    front.fail("FilterLogEvents", 400, "ExpiredTokenException", after=5)
    first = collect(one.group, "--since", "8h", "--cursor", str(cursor), "--output", "json")
    asked_before = front.actions().count("FilterLogEvents")
    second = collect(one.group, "--cursor", str(cursor), "--output", "json")
    asked_after = front.actions().count("FilterLogEvents") - asked_before
    third = collect(one.group, "--cursor", str(cursor), "--output", "json")

    assert (1, "sign in again") == (first.status, first.errors.strip()[-13:]), first.errors
    assert 2 == second.function(one.function)["invocations"] == third.function(one.function)["invocations"]
    assert asked_after < 8, "the slices that were done are not read again"


def test_after_a_kill_9_in_mid_run_it_goes_on_and_counts_each_line_once(
    collect: Collect, logs: MakeLogs, front: Front, aws_url: str, tmp_path: Path
) -> None:
    one = logs()
    for hours in range(1, 8):
        one.put(*[report_text()] * hours, ago_ms=hours * 3_600_000 + 60_000)
    cursor = tmp_path / "pull.json"
    front.hold("FilterLogEvents", after=4)
    command = [sys.executable, "-m", "afterglow_layer", "collect", "--from", "logs", one.group, "--since", "8h"]
    command += ["--cursor", str(cursor), "--endpoint-url", aws_url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert front.holding.wait(60), "it did not come as far as the fifth slice"
        process.kill()
    front.released.set()
    kept = json.loads(cursor.read_text())
    before = front.actions().count("FilterLogEvents")
    done = collect(one.group, "--cursor", str(cursor), "--output", "json")

    assert -9 == process.returncode
    assert kept["from_ms"] + 4 * 3_600_000 == kept["groups"][one.group]["done_to_ms"]
    assert sum(range(1, 8)) == done.function(one.function)["invocations"]
    assert front.actions().count("FilterLogEvents") - before < 8, "the slices that were done are not read again"


def test_a_terminal_has_a_bar_that_moves_and_is_gone_in_the_end(logs: MakeLogs, aws_url: str) -> None:
    one = logs()
    one.put(report_text())
    command = [sys.executable, "-m", "afterglow_layer", "collect", "--from", "logs", one.group, "--since", "8h"]
    ours, its = os.openpty()
    process = subprocess.Popen(
        [*command, "--endpoint-url", aws_url],
        stdout=subprocess.DEVNULL,
        stderr=its,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(its)
    shown = b""
    with suppress(OSError):  # EIO: the last one who could write has gone
        while part := os.read(ours, 65536):
            shown += part
    os.close(ours)
    steps = {int(step) for step in re.findall(rb"(\d+)/9", shown)}

    assert 0 == process.wait()
    assert b"reading 1 log group" in shown
    assert {0, 9} <= steps, shown
    assert shown.rstrip().endswith((b"\x1b[2K", b"\x1b[?25h")), f"the bar is still there: {shown[-60:]!r}"


def test_what_is_new_since_the_last_time_is_added(collect: Collect, logs: MakeLogs, tmp_path: Path) -> None:
    one = logs()
    one.put(report_text(), ago_ms=3_600_000)
    one.put(report_text(), ago_ms=60_000)
    arguments = one.group, "--cursor", str(tmp_path / "pull.json"), "--output", "json"
    first = collect(*arguments, "--since", "3h").function(one.function)["invocations"]
    one.put(report_text(), ago_ms=30_000)

    assert (2, 3) == (first, collect(*arguments).function(one.function)["invocations"])


def test_fresh_prices_are_asked_for_and_kept(collect: Collect, logs: MakeLogs, front: Front, tmp_path: Path) -> None:
    from tests.unit.prices.test_costs import product

    groups = {"AWS-Lambda-Requests": "1", "AWS-Lambda-Duration": "2", "AWS-Lambda-Duration-ARM": "3"}
    front.say("GetProducts", {"PriceList": [product(name, ("0", "Inf", price)) for name, price in groups.items()]})
    one = logs()
    one.put(report_text(duration_ms=8000.0))
    prices = tmp_path / "prices.json"
    done = collect(one.group, "--output", "json", "--refresh-prices", "--prices", str(prices))

    assert (1.0, 2.0) == tuple(done.function(one.function)["cost"][name] for name in ("requests", "duration"))
    assert "2" == json.loads(prices.read_text())["lambda"]["gb_second"]["x86_64"][0]["price"]


def test_nothing_found_is_said(collect: Collect, logs: MakeLogs) -> None:
    done = collect(logs().group)

    assert (0, True) == (done.status, "No REPORT lines and no records in 1 log group" in done.output)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--since", "soon"], 2, "write 30m, 24h, 7d, 2w"),
        (["--since", "1h", "--until", "2h"], 2, "--since must lie before --until"),
        (["--until", "2999-01-01"], 2, "neither of them in the future"),
        (["--prices", "/nowhere.json"], 1, "/nowhere.json: No such file"),
        (["--cursor", "/etc/hostname"], 2, "is no cursor file"),
        (["/aws/lambda/not-there"], 1, "ResourceNotFoundException"),
        (["--profile", "not-there"], 1, "not-there"),
    ],
)
def test_what_goes_wrong_is_said_in_a_line(collect: Collect, arguments: list[str], status: int, said: str) -> None:
    done = collect(*arguments)

    assert status == done.status, done.errors
    assert said in done.errors
    assert "Traceback" not in done.errors


def test_the_same_call_again_goes_on(collect: Collect, logs: MakeLogs, tmp_path: Path) -> None:
    one = logs()
    one.put(report_text(), ago_ms=1_800_000)
    call = one.group, "--since", "1h", "--cursor", str(tmp_path / "pull.json"), "--output", "json"
    first = collect(*call)
    one.put(report_text(), ago_ms=200_000)
    second = collect(*call)

    assert (0, 0) == (first.status, second.status), second.errors
    assert (1, 2) == tuple(done.function(one.function)["invocations"] for done in (first, second))
    assert first.document["from"] == second.document["from"]


def test_a_cursor_has_its_own_beginning(collect: Collect, logs: MakeLogs, tmp_path: Path) -> None:
    cursor = str(tmp_path / "pull.json")
    group = logs().group
    collect(group, "--since", "1h", "--cursor", cursor)
    done = collect(group, "--since", "2h", "--cursor", cursor)

    assert (2, True) == (done.status, "leave --since out" in done.errors)


FORGED = report_text().replace("Billed Duration: 13", "Billed Duration: " + "9" * 400)


def test_a_line_that_a_function_prints_stops_nothing_and_costs_no_fortune(
    collect: Collect, logs: MakeLogs, tmp_path: Path
) -> None:
    one = logs()
    lines = FORGED, FORGED.replace("9" * 400, "9" * 15), "REPORT RequestId: " + "A " * 100_000
    one.put(*lines, encode(invocation(1, rss_bytes=10**400)), report_text("genuine"))
    arguments = one.group, "--cursor", str(tmp_path / "pull.json"), "--output", "json"
    first, second = collect(*arguments), collect(*arguments)
    row = first.function(one.function)

    assert (0, 0) == (first.status, second.status), first.errors
    assert (1, 4) == (row["invocations"], row["unread"]["broken"])
    assert row["cost"]["total"] < 0.01
    assert row == second.function(one.function)


def test_reports_that_repeat_an_id_are_counted_and_told(collect: Collect, logs: MakeLogs) -> None:
    one = logs()
    one.put(report_text("a"), report_text("a"), report_text("b"), report_text("a"))
    row = collect(one.group, "--output", "json").function(one.function)
    shown = collect(one.group).output

    assert (4, 2) == (row["invocations"], row["repeated_reports"])
    assert "2 REPORT lines with an id that had one: retries, or printed by functions." in shown


def test_a_group_that_is_deleted_meanwhile_ends_nothing(collect: Collect, logs: MakeLogs, front: Front) -> None:
    one, other = logs(), logs()
    one.put(report_text())
    other.put(report_text())
    front.fail("FilterLogEvents", 400, "ResourceNotFoundException", after=2)
    done = collect("/aws/lambda/f-*", "--since", "2h", "--output", "json")

    assert 0 == done.status, done.errors
    assert {one.function, other.function} & {row["function"] for row in done.document["functions"]}


def test_names_are_whole_however_narrow_the_terminal_is(collect: Collect, logs: MakeLogs) -> None:
    one = logs()
    one.put(report_text(init_ms=200.0))
    done = collect(one.group, COLUMNS="40")

    assert 4 == done.output.count(one.function)
    assert "restore" in done.output


def test_aws_that_cannot_be_reached_is_said(collect: Collect) -> None:
    done = collect("/aws/lambda/f", "--endpoint-url", f"http://127.0.0.1:{closed_port()}", AWS_MAX_ATTEMPTS="1")

    assert 1 == done.status
    assert "afterglow: AWS cannot be asked: Could not connect to the endpoint URL" in done.errors
    assert "Traceback" not in done.errors


def test_help_has_examples() -> None:
    command = [sys.executable, "-m", "afterglow_layer", "collect", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "afterglow collect --from logs --since 2w --cursor pull.json" in done.stdout
