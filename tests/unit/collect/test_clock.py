"""Clocks that jump, both ways: what is taken is counted once and published soon, whatever the time is said to be."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from tests.unit.collect.samples import MINUTE, body, call, environment

from afterglow.emf import Emitter
from afterglow.metrics import DEFAULT_METRICS
from afterglow_collector.collect.clock import PATIENCE_MS, Clock
from afterglow_collector.collect.counts import Counts
from afterglow_collector.collect.incoming import Request
from afterglow_collector.collect.intake import Bounds, Intake
from afterglow_collector.collect.options import Options
from afterglow_collector.collect.outbox import Outbox
from afterglow_collector.collect.publisher import Publisher
from afterglow_collector.collect.service import Service
from afterglow_collector.collect.state import Rules, State
from afterglow_collector.collect.tokens import ANYBODY, Tokens

if TYPE_CHECKING:
    from afterglow_collector.collect.answers import Answer

START_MS = MINUTE * 60_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
JUMPS = [HOUR_MS, -HOUR_MS, 30 * DAY_MS, -30 * DAY_MS, 120_000]
BOUNDS = Bounds(1 << 20, 100, 1 << 16, ahead_ms=600_000, grace_ms=30_000, queue_bytes=1 << 20, windows=1_000)
RULES = Rules(DEFAULT_METRICS, 30_000, DAY_MS, 1_000)


class Hands:
    """Two hands of one clock: ``set`` moves what it tells, and time moves both."""

    def __init__(self) -> None:
        self.steady_ms = 5_000_000
        self.ahead_ms = START_MS - self.steady_ms

    def clock(self) -> Clock:
        return Clock(lambda: (self.steady_ms + self.ahead_ms) * 1_000_000, lambda: self.steady_ms * 1_000_000)


class Running(NamedTuple):
    """A service without disk and sockets, and the hands of its clock."""

    hands: Hands
    service: Service
    outbox: Outbox

    def pass_s(self, seconds: int) -> None:
        for _ in range(seconds):
            self.hands.steady_ms += 1_000
            self.service.tick()

    def send(self, seq: int, at_ms: int) -> dict[str, object]:
        answers: list[Answer] = []
        text = body(call(at_ms), env=environment("ticking"))
        headers = {b"afterglow-seq": b"%d" % seq}
        self.service.serve(Request(b"POST", b"/v1/records", headers, text, ANYBODY, None, True), answers.append)
        assert 202 == answers[0].status, answers
        told: dict[str, object] = json.loads(answers[0].body)
        return told

    def published(self) -> int:
        """How many Invocations the outbox has at the end, when all that was put has been published."""
        self.service.publisher.stop()
        return sum(json.loads(entry.payload)["Invocations"] for entry in self.outbox.read(0, 1_000))


def running(folder: Path, hands: Hands, state: State | None = None) -> Running:
    outbox = Outbox(folder / "outbox")
    publisher = Publisher(outbox, folder, Emitter(), [])
    publisher.start()
    intake = Intake(state or State(RULES), BOUNDS, Counts(), None, None)
    service = Service(Options(), intake, publisher, Tokens((), None), lambda work: work(), clock=hands.clock())
    return Running(hands, service, outbox)


@pytest.mark.parametrize("jump_ms", JUMPS)
def test_a_clock_that_jumps_and_comes_back_changes_nothing(tmp_path: Path, jump_ms: int) -> None:
    one = running(tmp_path, Hands())
    one.send(1, START_MS)
    one.pass_s(10)
    one.hands.ahead_ms += jump_ms
    one.pass_s(30)
    told = one.send(2, START_MS + 40_000), one.send(3, START_MS + 40_000 + jump_ms)
    one.hands.ahead_ms -= jump_ms
    one.pass_s(80)

    assert [1, 1] == [answer["accepted"] for answer in told], "either clock may be right"
    assert one.published() >= 2, "a minute and a half after they came"
    assert one.send(1, START_MS)["duplicate"], "what had been counted is still known"


@pytest.mark.parametrize("jump_ms", JUMPS)
def test_a_clock_that_stays_where_it_jumped_to_is_believed(tmp_path: Path, jump_ms: int) -> None:
    one = running(tmp_path, Hands())
    one.send(1, START_MS)
    one.pass_s(10)
    one.hands.ahead_ms += jump_ms
    one.pass_s(PATIENCE_MS // 1_000 + 10)
    at_ms = one.hands.steady_ms + one.hands.ahead_ms
    assert 1 == one.send(2, at_ms)["accepted"]
    one.pass_s(120)

    assert 2 == one.published()
    assert one.send(1, START_MS)["duplicate"]


@pytest.mark.parametrize("jump_ms", JUMPS)
def test_a_start_with_another_time_of_day_publishes_what_is_open(tmp_path: Path, jump_ms: int) -> None:
    """The clock was wrong before the start, or is after it: nothing of the state stands in the way."""
    hands, state = Hands(), State(RULES)
    before = running(tmp_path / "before", hands, state)
    before.send(1, START_MS)
    before.pass_s(130)
    before.send(2, START_MS + 130_000)
    hands.ahead_ms += jump_ms
    after = running(tmp_path / "after", hands, state)
    after.pass_s(1)
    if jump_ms < 0:
        hands.ahead_ms -= jump_ms
    after.pass_s(PATIENCE_MS // 1_000 + 70)

    assert 2 == before.published() + after.published()
    assert after.send(2, START_MS + 130_000)["duplicate"], "the state knows what has been counted, whatever the time"


def test_a_clock_that_is_corrected_a_little_is_followed() -> None:
    hands = Hands()
    clock = hands.clock()
    for _ in range(100):
        hands.ahead_ms += 1_000
        times = clock.times()

        assert {hands.steady_ms + hands.ahead_ms} == {times.now_ms, times.earliest_ms, times.latest_ms}
