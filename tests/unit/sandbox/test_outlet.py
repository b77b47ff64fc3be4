"""Where records go: what is printed and when, and what becomes of it when nobody takes it."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from afterglow.outlet import Embedded, Ledger, Outlets, RecordLines, RecordsFile, write_all
from afterglow.records import Environment, Finding, Loss, Overhead, Sample, Shutdown, encode
from afterglow.settings import Settings

STARTED_MS = 1_700_000_000_000
ENVIRONMENT = Environment("e-1", "shop", "1", 128, "x86_64", "on-demand", "python3.11", "eu-central-1", "0", STARTED_MS)
OVERHEAD = Overhead(at_ms=STARTED_MS + 1, agent_cpu_ms=3, agent_rss_bytes=1, hook_ms=0.5, bytes_out=10)
SAMPLE = Sample(STARTED_MS + 0.5, 1, 1, 1, 1, 1, 1, 0)
FINDING = Finding(
    "f-1", 1, "lingering", "thread", "send", "app.py", 7, "handler", "r-1", 1, "sleeping", "done", None, None, None,
    0, 1, 30, 1, STARTED_MS + 2, ["lingering", "ended"], STARTED_MS, None, None,
)  # fmt: skip


class Printed:
    """Takes lines, as a descriptor would; refuses them with ``errno``."""

    def __init__(self, errno: int = 0) -> None:
        self.errno = errno
        self.lines: list[dict[str, Any]] = []

    def write(self, text: str) -> int:
        if self.errno:
            raise OSError(self.errno, os.strerror(self.errno))
        assert text.endswith("\n"), "a log event of its own"
        assert text.count("\n") == 1, "one line per write"
        self.lines.append(json.loads(text))
        return len(text)


def embedded(printed: Printed, **settings: object) -> Embedded:
    return Embedded(Settings()._replace(**settings), ENVIRONMENT, printed.write)  # type: ignore[arg-type]  # by name


# -- embedded ----------------------------------------------------------------------------------------------------


def test_a_finding_is_printed_with_the_next_flush_and_once() -> None:
    printed = Printed()
    outlet = embedded(printed)
    outlet.accept(FINDING)
    before = len(printed.lines)
    for _ in range(2):
        outlet.flush(STARTED_MS + 10, final=False)

    assert 0 == before
    assert [json.loads(encode(FINDING))] == printed.lines


def test_findings_can_be_switched_off_and_still_count() -> None:
    printed = Printed()
    outlet = embedded(printed, findings=False)
    outlet.accept(FINDING)
    outlet.flush(STARTED_MS + 10, final=True)

    assert [1] == [line["LingeringCount"] for line in printed.lines if "LingeringCount" in line]
    assert "finding" not in [line.get("afterglow") for line in printed.lines]


@pytest.mark.parametrize("findings", [True, False])
def test_what_was_lost_is_printed_with_its_reasons_and_what_was_not_is_no_line(findings: bool) -> None:
    lost = Loss(STARTED_MS, "fact", 5, 3, {"not-a-fact": 2})
    printed = Printed()
    outlet = embedded(printed, findings=findings)
    outlet.accept(lost)
    outlet.accept(Loss(STARTED_MS, "sample", 7, 7, {}))
    outlet.flush(STARTED_MS + 1, final=True)

    assert [json.loads(encode(lost))] == [line for line in printed.lines if "afterglow" in line]
    assert [2] == [line["DroppedRecords"] for line in printed.lines if "DroppedRecords" in line]


def test_metrics_are_printed_once_their_interval_has_passed() -> None:
    printed = Printed()
    outlet = embedded(printed, flush_seconds=60)
    outlet.accept(OVERHEAD)
    outlet.flush(STARTED_MS + 59_999, final=False)
    early = len(printed.lines)
    outlet.flush(STARTED_MS + 60_000, final=False)

    assert 0 == early
    assert ["Afterglow"] == [line["_aws"]["CloudWatchMetrics"][0]["Namespace"] for line in printed.lines]


def test_the_last_flush_prints_everything() -> None:
    printed = Printed()
    outlet = embedded(printed)
    outlet.accept(OVERHEAD)
    outlet.accept(FINDING)
    outlet.flush(STARTED_MS + 1, final=True)

    assert 2 == len(printed.lines)


def test_what_stdout_does_not_take_is_counted_by_reason() -> None:
    outlet = embedded(Printed(errno=28))
    outlet.accept(OVERHEAD)
    outlet.accept(FINDING)
    outlet.flush(STARTED_MS + 1, final=True)

    assert {"stdout: No space left on device": 2} == outlet.take_dropped()
    assert {} == outlet.take_dropped()


def test_one_refused_line_does_not_cost_the_next_ones() -> None:
    printed = Printed(errno=32)
    outlet = embedded(printed)
    outlet.accept(FINDING)
    outlet.flush(STARTED_MS + 1, final=False)
    printed.errno = 0
    outlet.accept(FINDING)
    outlet.flush(STARTED_MS + 2, final=False)

    assert {"stdout: Broken pipe": 1} == outlet.take_dropped()
    assert 1 == len(printed.lines)


# -- record lines ------------------------------------------------------------------------------------------------


def test_record_lines_begin_with_the_environment_and_leave_samples_out() -> None:
    printed = Printed()
    outlet = RecordLines(ENVIRONMENT, printed.write)
    for record in (OVERHEAD, SAMPLE, FINDING):
        outlet.accept(record)
    outlet.flush(STARTED_MS, final=False)
    outlet.flush(STARTED_MS, final=True)

    assert ["environment", "overhead", "finding"] == [line["afterglow"] for line in printed.lines]


# -- the records file --------------------------------------------------------------------------------------------


def test_the_records_file_holds_each_record_in_order(tmp_path: Path) -> None:
    outlet = RecordsFile(str(tmp_path / "records"), ENVIRONMENT)
    for record in (OVERHEAD, SAMPLE):
        outlet.accept(record)
        outlet.flush(STARTED_MS, final=False)
    lines = (tmp_path / "records").read_text().splitlines()

    assert [encode(record) for record in (ENVIRONMENT, OVERHEAD, SAMPLE)] == lines


def test_the_records_file_goes_on_where_another_environment_has_stopped(tmp_path: Path) -> None:
    for _ in range(2):
        RecordsFile(str(tmp_path / "records"), ENVIRONMENT).flush(STARTED_MS, final=True)

    assert [encode(ENVIRONMENT)] * 2 == (tmp_path / "records").read_text().splitlines()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/dev/full", "records file: No space left on device"),
        ("/proc/nowhere/records", "records file: No such file or directory"),
        ("/", "records file: Is a directory"),
    ],
)
def test_a_file_that_takes_nothing_is_counted(path: str, reason: str) -> None:
    outlet = RecordsFile(path, ENVIRONMENT)
    outlet.accept(OVERHEAD)
    outlet.flush(STARTED_MS, final=True)

    assert {reason: 2} == outlet.take_dropped()
    assert {} == outlet.take_dropped()


def test_a_text_larger_than_a_pipe_is_written_whole() -> None:
    """`os.write` may take a part only."""
    text = "é" * 300_000
    with subprocess.Popen(["wc", "-c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as counting:
        assert counting.stdin
        assert counting.stdout
        written = write_all(counting.stdin.fileno(), text)
        counting.stdin.close()
        counted = int(counting.stdout.read())

    assert (600_000, 600_000) == (written, counted)


# -- the ledger --------------------------------------------------------------------------------------------------


def test_the_ledger_tells_what_was_seen_emitted_and_dropped_since_the_last_time() -> None:
    ledger = Ledger()
    ledger.see("fact", 10)
    ledger.drop("fact", "malformed", 2)
    ledger.drop("fact", "too many")
    (loss,) = ledger.take(STARTED_MS)

    assert ("fact", 10, 7, {"malformed": 2, "too many": 1}) == (loss.of, loss.seen, loss.emitted, loss.dropped)
    assert [] == ledger.take(STARTED_MS)


def test_each_record_that_passes_is_seen_once_however_many_outlets_there_are(tmp_path: Path) -> None:
    printed = Printed()
    outlets = Outlets([embedded(printed), RecordsFile(str(tmp_path / "records"), ENVIRONMENT)])
    for _ in range(3):
        outlets.accept(OVERHEAD)

    assert [("overhead", 3, 3)] == [(loss.of, loss.seen, loss.emitted) for loss in outlets.ledger.take(STARTED_MS)]


def test_a_dead_outlet_costs_the_others_nothing_and_is_in_the_ledger() -> None:
    printed = Printed()
    outlets = Outlets([RecordsFile("/dev/full", ENVIRONMENT), embedded(printed)])
    outlets.accept(Shutdown(STARTED_MS, "spindown", 0, 1.0))
    outlets.accept(OVERHEAD)
    outlets.flush(STARTED_MS, final=True)
    losses = {loss.of: loss for loss in outlets.ledger.take(STARTED_MS)}

    assert 1 == len(printed.lines)
    assert {"records file: No space left on device": 3} == losses["output"].dropped
    assert losses["output"].seen == losses["output"].emitted + 3


# -- no time left --------------------------------------------------------------------------------------------------

LOST = Loss(STARTED_MS, "fact", 5, 3, {"not-a-fact": 2})
DOWN = Shutdown(STARTED_MS + 3, "spindown", 1, 1.0)


def kinds(lines: list[dict[str, Any]]) -> list[str]:
    return [line.get("afterglow", "metrics") for line in lines]


@pytest.mark.parametrize("what", ["embedded", "records", "file"])
def test_at_the_end_findings_come_last_and_without_time_not_at_all(what: str, tmp_path: Path) -> None:
    printed = Printed()
    file = RecordsFile(str(tmp_path / "records"), ENVIRONMENT)
    outlet = {"embedded": embedded(printed), "records": RecordLines(ENVIRONMENT, printed.write), "file": file}[what]
    outlets = Outlets([outlet])
    for until_ns in (time.monotonic_ns() + 10**10, 0):
        for record in (FINDING, OVERHEAD, LOST, DOWN):
            outlets.accept(record)
        outlets.end_by(until_ns)
        outlets.flush(STARTED_MS + 10, final=True)
    written = printed.lines or [json.loads(line) for line in (tmp_path / "records").read_text().splitlines()]
    told = kinds(written)

    assert 1 == told.count("finding")
    assert 2 == told.count("loss")
    assert told.index("loss") < told.index("finding")
    assert {"output": {"no-time-left-at-shutdown": 1}} == outlets.ledger.dropped
