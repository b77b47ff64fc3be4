"""More comes in than the disk takes: senders are told to come again, and what was taken is still counted once."""

import json
import time
from pathlib import Path

import pytest
from tests.unit.collect.samples import AT_MS, body, call, environment

from afterglow.metrics import DEFAULT_METRICS
from afterglow_collector.collect.answers import Answer
from afterglow_collector.collect.counts import Counts
from afterglow_collector.collect.intake import Bounds, Intake
from afterglow_collector.collect.journal import Journal
from afterglow_collector.collect.state import Rules, State

LIMIT_S = 20
BOUNDS = Bounds(1 << 20, 100, 1 << 16, ahead_ms=0, grace_ms=0, queue_bytes=2_000, windows=10)
RULES = Rules(DEFAULT_METRICS, 0, 86_400_000, 1_000)
TEXT = body(*(call(AT_MS - 1) for _ in range(20)))


@pytest.fixture
def answered() -> list[Answer]:
    return []


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Give a journal whose thread has not begun: a disk that takes nothing yet."""
    folder = tmp_path / "journal"
    folder.mkdir()
    return Journal(folder, 0, lambda do: do())


def post(intake: Intake, seq: int, answered: list[Answer], text: bytes = TEXT) -> None:
    intake.take({b"afterglow-seq": b"%d" % seq}, text, AT_MS, answered.append)


def test_a_disk_that_is_behind_makes_senders_come_again_and_loses_nothing(
    journal: Journal, answered: list[Answer]
) -> None:
    intake = Intake(State(RULES), BOUNDS, Counts(), journal, None)
    sent = 0
    while not answered:
        sent += 1
        assert sent < 100, "the queue has no end"
        post(intake, sent, answered)
    (full,) = answered
    journal.start()
    ends_s = time.monotonic() + LIMIT_S
    while journal.waiting_entries:
        assert time.monotonic() < ends_s, f"{journal.waiting_entries} batches are still not on disk"
    post(intake, sent, answered)
    journal.stop()

    assert 429 == full.status
    assert (b"retry-after", b"1") in full.headers
    assert f"{sent - 1} batches wait for the disk" in json.loads(full.body)["detail"]
    assert [202] * sent == [answer.status for answer in answered[1:]], "those that waited, and the one that came again"
    assert 20 * sent == intake.state.records
    assert {"queue": 1} == {name: count for name, count in intake.counts.full.items() if count}


def test_beyond_so_many_open_windows_senders_come_again_and_nothing_is_dropped(answered: list[Answer]) -> None:
    intake = Intake(State(RULES), BOUNDS._replace(windows=2), Counts(), None, None)
    for seq, function in enumerate(("a", "b", "c"), 1):
        text = body(call(AT_MS - 1), env=environment("e", function))
        post(intake, seq, answered, text)

    assert [202, 202, 503] == [answer.status for answer in answered]
    assert (b"retry-after", b"10") in answered[-1].headers
    assert 2 == intake.state.records
