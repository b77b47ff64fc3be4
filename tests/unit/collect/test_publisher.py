"""What was taken is published, whatever stands in it; and when it no longer is, somebody says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.collect.samples import body, call

from afterglow.emf import Emitter
from afterglow_collector.collect.outbox import Outbox
from afterglow_collector.collect.publisher import Passing, Publisher, Snapshot
from afterglow_collector.sinks.record_batch import read_batch

GOOD = body(call())


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    box = Outbox(tmp_path / "outbox")
    yield box
    box.close()


@pytest.fixture
def publisher(outbox: Outbox, tmp_path: Path) -> Publisher:
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    return Publisher(outbox, checkpoints, Emitter(), [])


def test_a_refused_line_that_is_no_text_does_not_keep_the_good_ones_back(publisher: Publisher, outbox: Outbox) -> None:
    publisher.start()
    publisher.put(Passing(1, 0, GOOD + b"\n\xff\xfe nonsense"))
    publisher.put(Passing(2, 0, GOOD))
    publisher.stop()
    batches = [read_batch(entry.payload) for entry in outbox.read(0, 10)]

    assert publisher.failure is None
    assert [(1, 1), (1, 0)] == [(len(batch.records), batch.unread) for batch in batches]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_that_ends_publishing_makes_the_service_unready(publisher: Publisher) -> None:
    def wrong(_: int) -> None:
        raise LookupError("wrong")

    publisher.start()
    publisher.put(Snapshot(1, {}, wrong))
    publisher.stop()

    assert "a bug of the collector's, LookupError('wrong'); what was taken is in the journal" == publisher.failure
