"""The state is a function of the journal: however often the collector dies, the same is published, once."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.collect.samples import AT_MS, MINUTE, batch, call, environment, finding, overhead

from afterglow.emf import Emitter
from afterglow.metrics import DEFAULT_METRICS, METRICS
from afterglow_collector.collect.batch_ids import Verdict
from afterglow_collector.collect.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from afterglow_collector.collect.entries import FOREVER, Close
from afterglow_collector.collect.outbox import Entry, Outbox
from afterglow_collector.collect.publisher import Passing, Publisher, Snapshot
from afterglow_collector.collect.state import STATE_VERSION, Rules, State, StateError

RULES = Rules(DEFAULT_METRICS, grace_ms=30_000, ids_kept_ms=3_600_000, max_environments=1_000)


class Sent(NamedTuple):
    """A batch in the journal."""

    env_id: str
    seq: int
    calls: int
    findings: int
    minute: int  # after the first


class Closing(NamedTuple):
    """A close in the journal."""

    minute: int


sent = st.builds(
    Sent, st.sampled_from(["a", "b"]), st.integers(1, 9), st.integers(0, 4), st.integers(0, 2), st.integers(0, 3)
)
journals = st.lists(sent | st.builds(Closing, st.integers(0, 5)), max_size=25)


def apply(state: State, publisher: Publisher, lsn: int, entry: Sent | Closing) -> None:
    if isinstance(entry, Closing):
        publisher.publish(state.apply_close(lsn, Close(AT_MS + 600_000, MINUTE + entry.minute)))
        return
    at_ms = AT_MS + 60_000 * entry.minute
    records = [call(at_ms + n, duration_ms=entry.seq + n) for n in range(entry.calls)]
    found = [finding(at_ms, line=n) for n in range(entry.findings)]
    one = batch(*records, *found, overhead(at_ms), env=environment(entry.env_id, function=entry.env_id))
    if state.apply_batch(lsn, entry.seq, at_ms, one) is Verdict.NEW:
        publisher.publish(Passing(lsn, at_ms, b"batch %d" % lsn))


def publisher_in(folder: Path) -> Publisher:
    return Publisher(Outbox(folder / "outbox"), folder, Emitter(), [])


def as_text(entries: list[Entry]) -> list[str]:
    return [f"{entry.seq} {entry.kind} {entry.at_ms} {entry.payload}" for entry in entries]


@settings(max_examples=60)
@given(journal=journals, data=st.data())
def test_what_is_published_does_not_depend_on_where_the_collector_died(
    tmp_path_factory: pytest.TempPathFactory, journal: list[Sent | Closing], data: st.DataObject
) -> None:
    """Killed after any entry, with a checkpoint of any entry before: what the outbox ends up with is the same."""
    folder = tmp_path_factory.mktemp("straight")
    straight, publisher = State(RULES), publisher_in(folder)
    for lsn, entry in enumerate(journal, 1):
        apply(straight, publisher, lsn, entry)
    expected = publisher.outbox.read(0, 10_000)

    died = data.draw(st.integers(0, len(journal)))
    saved = data.draw(st.integers(0, died))
    folder = tmp_path_factory.mktemp("died")
    (folder / "checkpoints").mkdir()
    state, publisher = State(RULES), publisher_in(folder)
    for lsn, entry in enumerate(journal[:died], 1):
        apply(state, publisher, lsn, entry)
        if lsn == saved:
            write_checkpoint(folder / "checkpoints", lsn, state.to_plain())
    publisher.outbox.close()

    checkpoint, wrong = read_checkpoint(folder / "checkpoints")
    again, publisher = State.from_plain(RULES, checkpoint.lsn, checkpoint.state), publisher_in(folder)
    assert (saved, []) == (again.lsn, wrong)
    for lsn, entry in enumerate(journal[saved:], saved + 1):
        apply(again, publisher, lsn, entry)

    assert as_text(expected) == as_text(publisher.outbox.read(0, 10_000))
    assert (straight.records, straight.batches, straight.windows.late) == (
        again.records,
        again.batches,
        again.windows.late,
    )


def test_a_batch_is_counted_once() -> None:
    state = State(RULES)
    verdicts = [state.apply_batch(lsn, 1, AT_MS, batch(call())) for lsn in (1, 2, 3)]

    assert [Verdict.NEW, Verdict.DUPLICATE, Verdict.DUPLICATE] == verdicts
    assert (1, 1, 3) == (state.records, state.batches, state.lsn)


@pytest.mark.parametrize(("after_ms", "over"), [(89_999, False), (90_000, True)])
def test_a_minute_is_over_when_the_grace_is(after_ms: int, over: bool) -> None:
    assert over == (MINUTE < State(RULES).over_before(AT_MS + after_ms))


def test_a_late_record_becomes_a_document_for_its_own_minute(tmp_path: Path) -> None:
    state, publisher = State(RULES), publisher_in(tmp_path)
    state.apply_batch(1, 1, AT_MS, batch(call(), call()))
    publisher.publish(state.apply_close(2, Close(AT_MS + 90_000, MINUTE + 1)))
    state.apply_batch(3, 2, AT_MS + 100_000, batch(call(), call(AT_MS + 60_000)))
    publisher.publish(state.apply_close(4, Close(AT_MS + 150_000, MINUTE + 2)))
    documents = [json.loads(entry.payload) for entry in publisher.outbox.read(0, 10)]

    assert [(AT_MS, 2), (AT_MS, 1), (AT_MS + 60_000, 1)] == [
        (document["_aws"]["Timestamp"], document["Invocations"]) for document in documents
    ]
    assert state.windows.late == 1


def test_there_is_nothing_to_close_before_anything_is_over() -> None:
    state = State(RULES)
    state.apply_batch(1, 1, AT_MS, batch(call()))

    assert (False, True) == (state.something_to_close(MINUTE), state.something_to_close(MINUTE + 1))
    state.apply_close(2, Close(AT_MS, FOREVER))
    assert not state.something_to_close(FOREVER)


def test_findings_are_told_even_when_no_minute_is_over() -> None:
    state = State(RULES)
    state.apply_batch(1, 1, AT_MS, batch(finding()))

    assert state.something_to_close(MINUTE)


def test_a_state_of_another_version_or_shape_is_refused() -> None:
    with pytest.raises(StateError, match=f"this is version {STATE_VERSION}"):
        State.from_plain(RULES, 1, {"v": STATE_VERSION + 1})
    with pytest.raises(StateError, match="not one of this version"):
        State.from_plain(RULES, 1, {"v": STATE_VERSION})


def test_the_metrics_cannot_change_while_minutes_are_open() -> None:
    state, other = State(RULES), RULES._replace(metrics=frozenset(METRICS))
    state.apply_batch(1, 1, AT_MS, batch(call()))
    with pytest.raises(StateError, match="stop in order"):
        State.from_plain(other, 1, _through_disk(state))

    state.apply_close(2, Close(AT_MS, FOREVER))
    assert State.from_plain(other, 2, _through_disk(state)).windows.metrics == frozenset(METRICS)


def _through_disk(state: State) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(state.to_plain()))
    return plain


def test_the_youngest_whole_checkpoint_is_read(tmp_path: Path) -> None:
    oldest_needed = [write_checkpoint(tmp_path, lsn, {"lsn": lsn}) for lsn in (1, 5, 9)]
    assert [1, 1, 5] == oldest_needed
    assert (Checkpoint(9, {"lsn": 9}), []) == read_checkpoint(tmp_path)

    young = sorted(tmp_path.glob("*.log"))[-1]
    young.write_bytes(young.read_bytes()[:-1])
    checkpoint, wrong = read_checkpoint(tmp_path)
    assert (Checkpoint(5, {"lsn": 5}), 1) == (checkpoint, len(wrong))


def test_without_a_checkpoint_there_is_an_empty_one(tmp_path: Path) -> None:
    assert (Checkpoint(0, {}), []) == read_checkpoint(tmp_path)


def test_a_large_checkpoint_is_kept_in_parts(tmp_path: Path) -> None:
    state = {"keys": bytes(range(256)) * 150_000}
    write_checkpoint(tmp_path, 1, state)

    assert state == read_checkpoint(tmp_path)[0].state


def test_a_snapshot_comes_after_what_it_has_published(tmp_path: Path) -> None:
    publisher, told = publisher_in(tmp_path), list[int]()
    publisher.start()
    publisher.put(Passing(3, AT_MS, b"batch"))
    publisher.put(Snapshot(3, {"v": 1}, told.append))
    publisher.stop()

    assert ([3], ["batch"]) == (told, [entry.payload for entry in publisher.outbox.read(0, 10)])
    assert read_checkpoint(tmp_path)[0].lsn == 3
