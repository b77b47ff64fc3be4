"""Several sinks on their own threads: a dead one neither blocks the others nor loses anything."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.integration.sinks.stage import LIMIT_S, LineListener, closed_port
from tests.unit.sinks.samples import NOW_MS, MemoryOutbox, emf_lines

from afterglow_collector.collect.outbox import Entry, Outbox
from afterglow_collector.sinks import SinkRunner
from afterglow_collector.sinks.backoff import Backoff
from afterglow_collector.sinks.breaker import BreakerPolicy
from afterglow_collector.sinks.cloudwatch_agent import CloudWatchAgent
from afterglow_collector.sinks.contract import EMF, SinkBatch, SinkRetry
from afterglow_collector.sinks.courier import Policy
from afterglow_collector.sinks.file import RotatingFile

QUICK = Policy(batch_entries=10, backoff=Backoff(0.001, 0.01), breaker=BreakerPolicy(failures=3, cool_down_s=0.02))


class Watched:
    """A sink that tells the test when it has been asked, and answers as it is told."""

    def __init__(self, name: str, answer: Callable[[SinkBatch], Mapping[str, int]]) -> None:
        self.name = name
        self.kinds = frozenset((EMF,))
        self.answer = answer
        self.taken: list[str] = []
        self.changed = threading.Condition()
        self.closed = False

    def send(self, batch: SinkBatch) -> Mapping[str, int]:
        refused = self.answer(batch)
        with self.changed:
            self.taken += [entry.payload for entry in batch.entries]
            self.changed.notify_all()
        return refused

    def wait_for(self, count: int) -> list[str]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.taken) >= count, LIMIT_S), f"only {self.taken}"
            return list(self.taken)

    def close(self) -> None:
        self.closed = True


def dead(_: SinkBatch) -> Mapping[str, int]:
    raise SinkRetry("dead")


def fine(_: SinkBatch) -> Mapping[str, int]:
    return {}


def test_a_dead_sink_does_not_block_another(tmp_path: Path) -> None:
    outbox = MemoryOutbox()
    sinks = [Watched("dead", dead), Watched("fine", fine)]
    runners = [SinkRunner(sink, outbox, tmp_path, QUICK) for sink in sinks]
    for runner in runners:
        runner.start()
    outbox.append(*map(str, range(25)))
    for runner in runners:
        runner.wake()

    assert [*map(str, range(25))] == sinks[1].wait_for(25)
    assert [False, True] == [runner.stop(drain_s) for runner, drain_s in zip(runners, (0, LIMIT_S), strict=True)]
    assert [0, 25] == [runner.acknowledged_seq for runner in runners]
    assert all(sink.closed for sink in sinks)


def test_a_sink_that_was_dead_for_a_while_gets_everything_in_order(tmp_path: Path) -> None:
    port = closed_port()
    lines = [line for number in range(30) for line in emf_lines(float(number), function=f"f{number}")]
    outbox = MemoryOutbox()
    outbox.append(*lines)
    runner = SinkRunner(CloudWatchAgent("tcp", "127.0.0.1", port, "g"), outbox, tmp_path, QUICK)
    runner.start()
    while runner.status().counters["breaker_opened"] < 2:
        threading.Event().wait(0.005)
    listener = LineListener(port)
    came = listener.wait_for(30)
    assert runner.stop(drain_s=LIMIT_S), runner.status()
    listener.stop()

    assert [f"f{number}" for number in range(30)] == [
        line.partition('FunctionName":"')[2].split('"')[0] for line in came
    ]
    assert {"ECONNREFUSED"} == set(runner.status().failures)


def test_stopping_drains_what_is_there(tmp_path: Path) -> None:
    outbox = MemoryOutbox()
    outbox.append(*emf_lines(1.0) * 50)
    path = tmp_path / "out"
    runner = SinkRunner(RotatingFile(path), outbox, tmp_path, QUICK)
    runner.start()

    assert runner.stop(drain_s=LIMIT_S)
    assert 50 == len(path.read_text().splitlines())


def test_the_collectors_own_outbox_feeds_a_sink_across_restarts(tmp_path: Path) -> None:
    folder, path = tmp_path / "outbox", tmp_path / "out"
    folder.mkdir()
    for number in range(3):
        outbox = Outbox(folder)
        outbox.append([Entry(0, EMF, NOW_MS, f"{number}-{nth}") for nth in range(100)])
        outbox.sync()
        runner = SinkRunner(RotatingFile(path), outbox, tmp_path, QUICK)
        runner.start()
        assert runner.stop(drain_s=LIMIT_S), runner.status()
        outbox.trim(runner.acknowledged_seq + 1)
        outbox.close()

    assert [f"{number}-{nth}" for number in range(3) for nth in range(100)] == path.read_text().splitlines()
    assert 0 == runner.status().counters["missed"]


def test_a_next_process_goes_on_where_this_one_stopped(tmp_path: Path) -> None:
    outbox = MemoryOutbox()
    outbox.append("a", "b")
    for expected in (["a", "b"], ["c"]):
        sink = Watched("same", fine)
        runner = SinkRunner(sink, outbox, tmp_path, QUICK)
        runner.start()
        assert runner.stop(drain_s=LIMIT_S)
        assert expected == sink.taken
        outbox.append("c")


def test_a_bug_in_a_sink_is_counted_and_survived(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outbox = MemoryOutbox()
    outbox.append("a")
    answers = iter([ZeroDivisionError("oops")])

    def answer(_: SinkBatch) -> Mapping[str, int]:
        for error in answers:
            raise error
        return {}

    sink = Watched("buggy", answer)
    runner = SinkRunner(sink, outbox, tmp_path, QUICK)
    runner.start()

    assert ["a"] == sink.wait_for(1)
    assert runner.stop(drain_s=LIMIT_S)
    assert {"bug: ZeroDivisionError": 1} == runner.status().failures
    assert "sink buggy" in caplog.text


def test_a_runner_that_was_never_started_can_be_stopped(tmp_path: Path) -> None:
    assert not SinkRunner(Watched("x", fine), MemoryOutbox(), tmp_path).stop()


def test_an_outbox_knows_what_is_beyond_an_allowance(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox", segment_bytes=1000)
    for number in range(20):
        outbox.append([Entry(0, EMF, NOW_MS, "x" * 300), Entry(0, EMF, NOW_MS, f"{number:02}")])
    each = -(-outbox.size_bytes() // 20)

    assert [0, 0, 0] == [outbox.last_seq_beyond(most) for most in (None, 20 * each, 1 << 40)]
    assert [40, 38, 2] == [outbox.last_seq_beyond(most) for most in (0, each, 19 * each)]
    outbox.trim(11)
    assert 38 == outbox.last_seq_beyond(each)
    outbox.close()
