"""A SnapStart snapshot is restored many times: each copy is an environment of its own."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from afterglow.agent import Agent
from afterglow.boot import Handoff
from afterglow.deadlines import set_deadline
from afterglow.invokes import take_note
from afterglow.parts import Parts
from afterglow.runtime_api import RuntimeApi
from afterglow.settings import from_env

SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
INVOKE = {"eventType": "INVOKE", "requestId": "r-1"}


@pytest.fixture
def handoff() -> Iterator[Handoff]:
    own, other = socket.socketpair()
    with own, other:
        yield Handoff(RuntimeApi("127.0.0.1:9001", own), None)


def parts_of(handoff: Handoff, environ: dict[str, str]) -> Parts:
    settings, complaints = from_env(environ)

    assert not complaints
    return Parts(handoff, settings, environ)


def names_of(parts: Parts) -> set[str]:
    return {parts.teller.env_id, parts.lingering.prefix}


def test_the_name_drawn_before_the_snapshot_is_nobodys(handoff: Handoff) -> None:
    parts = parts_of(handoff, SNAP_START)
    shared = names_of(parts)
    take_note(parts, INVOKE)
    own = names_of(parts)
    take_note(parts, INVOKE)

    assert shared.isdisjoint(own)
    assert own == names_of(parts)
    assert len(own) == 1


@pytest.mark.parametrize("init_type", ["on-demand", "provisioned-concurrency"])
def test_where_nothing_is_copied_the_first_name_is_kept(handoff: Handoff, init_type: str) -> None:
    parts = parts_of(handoff, {"AWS_LAMBDA_INITIALIZATION_TYPE": init_type})
    first = names_of(parts)
    take_note(parts, INVOKE)

    assert first == names_of(parts)


def test_what_was_lost_before_the_snapshot_is_told_under_the_new_name(handoff: Handoff, tmp_path: Path) -> None:
    file = tmp_path / "records"
    parts = parts_of(handoff, {**SNAP_START, "AFTERGLOW_RECORDS_FILE": str(file)})
    shared = parts.teller.env_id
    parts.teller.lose("finding", "unseen asyncio-task: no sys.monitoring")
    take_note(parts, INVOKE)
    parts.teller.losses()
    parts.teller.flush(final=True)
    told = file.read_text()

    assert '"unseen asyncio-task: no sys.monitoring":1' in told
    assert parts.teller.env_id in told
    assert shared not in told


def test_nothing_is_told_between_init_and_the_restore(handoff: Handoff, tmp_path: Path) -> None:
    file = tmp_path / "records"
    environ = {**SNAP_START, "AFTERGLOW_FLUSH": "interval", "AFTERGLOW_RECORDS_FILE": str(file)}
    settings, _ = from_env(environ)
    agent = Agent(handoff, settings, environ)
    agent.parts.recorder.init_fact = {"from": 1, "at": 2, "cpu": 1, "error": None}
    agent._flush_interval(time.monotonic_ns())

    assert not file.exists()


def test_a_deadline_counts_from_now_however_long_ago_the_event_came(handoff: Handoff) -> None:
    parts = parts_of(handoff, {})
    before_ns = time.monotonic_ns()
    set_deadline(parts, round(time.time() * 1000) + 3_000)

    assert parts.ends_ns is not None
    assert 2_990 <= (parts.ends_ns - before_ns) / 1e6 <= 3_000 + (time.monotonic_ns() - before_ns) / 1e6 + 1
