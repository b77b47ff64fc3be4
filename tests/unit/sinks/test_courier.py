"""A courier brings every entry to its sink, in order, whatever the sink answers; time is what the test says it is."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from tests.unit.sinks.samples import Item, MemoryOutbox, items

from afterglow_collector.sinks.allowance import HOUR_MS, MB, Allowance
from afterglow_collector.sinks.backoff import Backoff
from afterglow_collector.sinks.breaker import BreakerPolicy, State
from afterglow_collector.sinks.contract import EMF, FINDING, SinkBatch, SinkRefused, SinkRetry
from afterglow_collector.sinks.courier import BUGS_IN_A_ROW, IDLE_S, Clocks, Courier, Policy
from afterglow_collector.sinks.cursor import CursorError, read_cursor

POLICY = Policy(batch_entries=3, backoff=Backoff(1.0, 8.0), breaker=BreakerPolicy(failures=4, cool_down_s=60.0))
Answer = Callable[[SinkBatch], Mapping[str, int]]


class ScriptedSink:
    """Answers as it is told, and takes everything once the script is over."""

    name = "scripted"
    kinds = frozenset((EMF,))

    def __init__(self, *answers: Exception | Mapping[str, int]) -> None:
        self.answers = list(answers)
        self.asked: list[list[str]] = []
        self.taken: list[str] = []

    def send(self, batch: SinkBatch) -> Mapping[str, int]:
        payloads = [entry.payload for entry in batch.entries]
        self.asked.append(payloads)
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, SinkRetry) and answer.remaining is not None:
            self.taken += payloads[: len(payloads) - len(answer.remaining)]
        if isinstance(answer, Exception):
            raise answer
        self.taken += payloads
        return answer


class Hands:
    """A clock that the test moves, and no chance at all."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.now_s, lambda: self.now_s, lambda: 0.5)


@pytest.fixture
def hands() -> Hands:
    return Hands()


Run = Callable[..., Courier]


@pytest.fixture
def courier_of(tmp_path: Path, hands: Hands) -> Run:
    def make(sink: ScriptedSink, outbox: MemoryOutbox) -> Courier:
        return Courier(sink, outbox, tmp_path / "cursor", POLICY, hands.clocks())

    return make


def run(courier: Courier, hands: Hands, most: int = 100) -> None:
    """Step, letting the time pass that the courier asks for, until it is idle."""
    for _ in range(most):
        wait_s = courier.step()
        if courier.idle:
            return
        hands.now_s += wait_s
    pytest.fail(f"not idle after {most} steps: {courier.counters}")


def test_entries_arrive_in_order_and_the_cursor_says_so(courier_of: Run, hands: Hands, tmp_path: Path) -> None:
    sink = ScriptedSink()
    courier = courier_of(sink, MemoryOutbox(items(*"abcdefg")))
    run(courier, hands)

    assert [["a", "b", "c"], ["d", "e", "f"], ["g"]] == sink.asked
    assert read_cursor(tmp_path / "cursor") == 7 == courier.saved_seq


def test_after_a_restart_it_goes_on_where_it_was(courier_of: Run, hands: Hands) -> None:
    outbox = MemoryOutbox(items(*"abc"))
    run(courier_of(ScriptedSink(), outbox), hands)
    outbox.append("d")
    second = ScriptedSink()
    run(courier_of(second, outbox), hands)

    assert ["d"] == second.taken


def test_what_was_under_way_at_a_crash_is_sent_again(courier_of: Run) -> None:
    outbox = MemoryOutbox(items(*"abc"))
    courier_of(ScriptedSink(SinkRetry("away")), outbox).step()
    second = ScriptedSink()
    courier_of(second, outbox).step()

    assert ["a", "b", "c"] == second.taken


def test_a_retry_repeats_only_what_is_left(courier_of: Run, hands: Hands) -> None:
    entries = items(*"abc")
    sink = ScriptedSink(SinkRetry("throttled", remaining=entries[1:]))
    courier = courier_of(sink, MemoryOutbox(entries))
    run(courier, hands)

    assert [["a", "b", "c"], ["b", "c"]] == sink.asked
    assert (3, {"throttled": 1}) == (courier.counters.sent, courier.counters.failures)


def test_no_try_comes_before_its_time(courier_of: Run, hands: Hands) -> None:
    sink = ScriptedSink(SinkRetry("busy", after_s=20.0))
    courier = courier_of(sink, MemoryOutbox(items("a")))

    assert 20.5 == courier.step(), "what it asked for, and half of the first second"
    hands.now_s += 20.0
    assert 0.5 == courier.step()
    assert 1 == len(sink.asked)
    hands.now_s += 0.5
    courier.step()
    assert ["a"] == sink.taken


def test_one_bad_entry_is_found_and_the_others_arrive(courier_of: Run, hands: Hands) -> None:
    class Fussy(ScriptedSink):
        def send(self, batch: SinkBatch) -> Mapping[str, int]:
            if any(entry.payload == "bad" for entry in batch.entries):
                raise SinkRefused("malformed")
            return super().send(batch)

    sink = Fussy()
    courier = courier_of(sink, MemoryOutbox(items("a", "bad", "c")))
    run(courier, hands)

    assert ["a", "c"] == sink.taken
    assert (2, {"malformed": 1}) == (courier.counters.sent, courier.counters.refused)


def test_partial_refusals_are_counted_and_not_repeated(courier_of: Run, hands: Hands) -> None:
    sink = ScriptedSink({"too-old": 2})
    courier = courier_of(sink, MemoryOutbox(items(*"abc")))
    run(courier, hands)

    assert 1 == len(sink.asked)
    assert (1, {"too-old": 2}) == (courier.counters.sent, courier.counters.refused)


def test_a_dead_sink_is_left_alone_and_then_asked_with_one_entry(courier_of: Run, hands: Hands) -> None:
    sink = ScriptedSink(*[SinkRetry("dead")] * 4)
    courier = courier_of(sink, MemoryOutbox(items(*"abc")))
    for _ in range(4):
        hands.now_s += courier.step()

    assert State.OPEN is courier.breaker.state or State.PROBING is courier.breaker.state
    assert 4 == len(sink.asked)
    run(courier, hands)
    assert [["a"], ["b", "c"]] == sink.asked[4:]
    assert State.CLOSED is courier.breaker.state
    assert 1 == courier.counters.breaker_opened


def test_an_open_breaker_makes_no_try(courier_of: Run, hands: Hands) -> None:
    sink = ScriptedSink(*[SinkRetry("dead")] * 4)
    courier = courier_of(sink, MemoryOutbox(items("a")))
    for _ in range(4):
        hands.now_s += 8.0
        courier.step()
    hands.now_s += 59.0

    assert 1.0 == courier.step()
    assert 4 == len(sink.asked)


def test_entries_of_other_kinds_are_passed_over(courier_of: Run, hands: Hands) -> None:
    outbox = MemoryOutbox(items(*"abcd", kind=FINDING))
    outbox.append("e")
    sink = ScriptedSink()
    courier = courier_of(sink, outbox)
    run(courier, hands)

    assert ["e"] == sink.taken
    assert (4, 5) == (courier.counters.skipped, courier.saved_seq)


def test_what_left_the_outbox_before_it_was_sent_is_counted(courier_of: Run, hands: Hands) -> None:
    outbox = MemoryOutbox(items("a"))
    courier = courier_of(ScriptedSink(), outbox)
    run(courier, hands)
    outbox.append(*"bcde")
    outbox.trim(4)
    run(courier, hands)

    assert 2 == courier.counters.missed


def test_a_new_sink_misses_nothing_that_was_gone_before_it_came(courier_of: Run, hands: Hands) -> None:
    outbox = MemoryOutbox(items(*"abcd"))
    outbox.trim(3)
    courier = courier_of(ScriptedSink(), outbox)
    run(courier, hands)

    assert (0, 2) == (courier.counters.missed, courier.counters.sent)


def test_an_error_in_the_sink_itself_loses_nothing(courier_of: Run, hands: Hands) -> None:
    sink = ScriptedSink(ZeroDivisionError())
    courier = courier_of(sink, MemoryOutbox(items("a")))
    with pytest.raises(ZeroDivisionError):
        courier.step()
    run(courier, hands)

    assert ["a"] == sink.taken


def test_a_disk_that_takes_no_cursor_stops_nothing(courier_of: Run, hands: Hands, tmp_path: Path) -> None:
    sink = ScriptedSink()
    courier = courier_of(sink, MemoryOutbox(items(*"abcd")))
    (tmp_path / "cursor").mkdir()  # what cannot be replaced by a file
    for _ in range(3):
        courier.step()

    assert [*"abcd"] == sink.taken
    assert courier.counters.cursor_errors > 0
    (tmp_path / "cursor").rmdir()
    run(courier, hands)
    assert 4 == read_cursor(tmp_path / "cursor")


def test_a_full_disk_gives_room_for_the_cursor(courier_of: Run, hands: Hands, tmp_path: Path) -> None:
    """What is done with may leave the outbox before the cursor says so: nothing else would make room for it."""
    courier = courier_of(ScriptedSink(), MemoryOutbox(items(*"abcd")))
    (tmp_path / "cursor.new").symlink_to("/dev/full")
    for _ in range(3):
        courier.step()

    assert (0, 4) == (courier.saved_seq, courier.released_seq)
    (tmp_path / "cursor.new").unlink()
    run(courier, hands)
    assert (4, 4) == (courier.saved_seq, read_cursor(tmp_path / "cursor"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"v": 2, "seq": 1}', '{"v": 1, "seq": -1}', '{"v": 1, "seq": true}'])
def test_a_cursor_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "cursor").write_text(text)

    with pytest.raises(CursorError, match="cursor"):
        read_cursor(tmp_path / "cursor")


def test_nothing_to_do_is_looked_for_once_a_second(courier_of: Run) -> None:
    courier = courier_of(ScriptedSink(), MemoryOutbox())

    assert IDLE_S == courier.step()
    assert courier.idle


@pytest.mark.parametrize(
    ("failures", "random", "asked_s", "expected_s"),
    [(1, 0.0, None, 0.0), (1, 0.5, None, 0.5), (3, 0.5, None, 2.0), (9, 1.0, None, 8.0), (10**6, 1.0, 5.0, 13.0)],
)
def test_backoff_doubles_up_to_its_cap(failures: int, random: float, asked_s: float | None, expected_s: float) -> None:
    assert expected_s == POLICY.backoff.wait_s(failures, random, asked_s)


class Fragile(ScriptedSink):
    """Runs into a bug over certain entries."""

    def __init__(self, bug: Exception, *bad: str) -> None:
        super().__init__()
        self.bug, self.bad = bug, bad

    def send(self, batch: SinkBatch) -> Mapping[str, int]:
        if any(entry.payload in self.bad for entry in batch.entries):
            self.asked.append([entry.payload for entry in batch.entries])
            raise self.bug
        return super().send(batch)


def run_through_bugs(courier: Courier, hands: Hands, most: int = 100) -> None:
    """Step as the runner does, whose guard hands bugs back."""
    for _ in range(most):
        try:
            wait_s = courier.step()
        except ValueError as bug:
            wait_s = courier.stumbled(bug)
        if courier.idle:
            return
        hands.now_s += wait_s
    pytest.fail(f"not idle after {most} steps: {courier.counters}")


@pytest.mark.parametrize("bad", [("a",), ("b",), ("c",), ("a", "c"), ("b", "c", "d", "e")], ids="".join)
def test_an_entry_that_no_try_survives_is_given_up_and_all_behind_it_arrives(
    courier_of: Run, hands: Hands, bad: tuple[str, ...]
) -> None:
    sink = Fragile(ValueError("out of range"), *bad)
    courier = courier_of(sink, MemoryOutbox(items(*"abcdefg")))
    run_through_bugs(courier, hands)

    assert [one for one in "abcdefg" if one not in bad] == sink.taken
    assert {"bug: ValueError": len(bad)} == courier.counters.refused
    assert (7 - len(bad), 7) == (courier.counters.sent, courier.saved_seq)
    assert State.CLOSED is courier.breaker.state, "the other side has done nothing wrong"


def test_what_the_system_refuses_is_no_entrys_fault(courier_of: Run, hands: Hands) -> None:
    sink = Fragile(OSError(28, "no space left"), "a")
    courier = courier_of(sink, MemoryOutbox(items("a")))
    for _ in range(20):
        with pytest.raises(OSError, match="no space"):
            courier.step()
        hands.now_s += courier.stumbled(sink.bug)
    sink.bad = ()
    run(courier, hands)

    assert ["a"] == sink.taken
    assert {} == courier.counters.refused


class MeasuredOutbox(MemoryOutbox):
    """An outbox of which each entry takes a megabyte."""

    def last_seq_beyond(self, most_bytes: int | None) -> int:
        over = len(self.entries) - (most_bytes // MB if most_bytes is not None else len(self.entries))
        return self.entries[over - 1].seq if over > 0 else 0


def limited(sink: ScriptedSink, outbox: MemoryOutbox, cursor: Path, hands: Hands, allowance: Allowance) -> Courier:
    return Courier(sink, outbox, cursor, POLICY._replace(allowance=allowance), hands.clocks())


def test_a_dead_sink_keeps_no_more_than_its_allowance_and_what_went_is_counted(tmp_path: Path, hands: Hands) -> None:
    outbox = MeasuredOutbox(items(*"abcdefghij"))
    sink = ScriptedSink(*[SinkRetry("dead")] * 3)
    courier = limited(sink, outbox, tmp_path / "cursor", hands, Allowance(most_bytes=4 * MB))
    courier.step()

    assert 6 == courier.saved_seq == read_cursor(tmp_path / "cursor"), "what is beyond it can leave the disk"
    outbox.append("k", "l")
    hands.now_s += 2
    courier.step()
    assert 8 == courier.saved_seq
    run(courier, hands)
    assert [*"ijkl"] == sink.taken
    assert {"beyond queue-mb=4": 8} == courier.counters.refused
    assert (4, 0) == (courier.counters.sent, courier.counters.missed)


def test_what_waits_for_a_dead_sink_grows_too_old(tmp_path: Path, hands: Hands) -> None:
    def entry(seq: int, ago_h: int) -> Item:
        return Item(seq, EMF, int((hands.now_s - ago_h * 3600) * 1000), f"{ago_h} h")

    outbox = MemoryOutbox([entry(1, 9), entry(2, 5), entry(3, 1), entry(4, 1)])
    sink = ScriptedSink(*[SinkRetry("dead")] * 3)
    courier = limited(sink, outbox, tmp_path / "cursor", hands, Allowance(most_age_ms=4 * HOUR_MS))
    hands.now_s += courier.step()
    run(courier, hands)

    assert ["9 h", "5 h", "1 h"] == sink.asked[0], "nothing is too old for a sink that takes it"
    assert ["1 h", "1 h"] == sink.taken
    assert {"beyond queue-hours=4": 2} == courier.counters.refused


def test_without_an_allowance_everything_waits(courier_of: Run, hands: Hands) -> None:
    sink = ScriptedSink(*[SinkRetry("dead")] * 50)
    courier = courier_of(sink, MeasuredOutbox(items(*"abcdefghij")))
    for _ in range(50):
        hands.now_s += 3600 + courier.step()
    run(courier, hands)

    assert [*"abcdefghij"] == sink.taken


def test_an_outbox_that_cannot_be_read_is_no_entrys_fault(courier_of: Run, hands: Hands) -> None:
    class Broken(MemoryOutbox):
        broken = False

        def read(self, after_seq: int, limit: int) -> Sequence[Item]:
            if self.broken:
                raise ValueError("of another version")
            return super().read(after_seq, limit)

    outbox, sink = Broken(items("a")), ScriptedSink()
    courier = courier_of(sink, outbox)
    run(courier, hands)
    outbox.broken = True
    for _ in range(10):
        with pytest.raises(ValueError, match="another version"):
            courier.step()
        hands.now_s += courier.stumbled(ValueError())
    outbox.broken = False
    outbox.append("b")
    run(courier, hands)

    assert ["a", "b"] == sink.taken
    assert {} == courier.counters.refused


def test_a_sink_that_takes_nothing_at_all_gives_up_little(courier_of: Run, hands: Hands) -> None:
    """Its own fault, then: what came of each entry in a row would come of all of them."""
    courier = courier_of(Fragile(ValueError("no such endpoint"), "x"), MemoryOutbox(items(*["x"] * 200)))
    began_s = hands.now_s
    while hands.now_s < began_s + 3600:
        try:
            hands.now_s += courier.step()
        except ValueError as bug:
            hands.now_s += courier.stumbled(bug)

    assert BUGS_IN_A_ROW < courier.counters.refused["bug: ValueError"] < 3 * BUGS_IN_A_ROW
    assert courier.complaints.failing_since_s is not None
