"""Advice: concrete for every kind of work, and never silent."""

from typing import Any

import pytest

from afterglow.records import FINDINGS, OUTCOMES
from afterglow_collector.advice import CONSEQUENCES, OTHER_REPAIR, REPAIRS, advise
from afterglow_collector.words import HEADLINES


def found(what: str = "thread", outcome: str = "resumed", state: str = "") -> dict[str, Any]:
    return {"what": what, "outcome": outcome, "state": state}


def test_the_tables_cover_every_kind_and_every_outcome() -> None:
    whats = {what for kind in FINDINGS.values() for what in kind}

    assert whats == set(REPAIRS) == set(HEADLINES)
    assert set(OUTCOMES) == set(CONSEQUENCES)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("thread", "join()"),
        ("timer", "cancel()"),
        ("executor", "context manager"),
        ("asyncio-task", "Await the task"),
        ("process", "communicate()"),
    ],
)
def test_the_repair_names_the_call_that_is_missing(what: str, words: str) -> None:
    assert words in advise(found(what))[0]


def test_a_kind_that_is_newer_than_the_table_still_gets_advice() -> None:
    assert advise(found("coroutine"))[0] == OTHER_REPAIR


def test_lost_work_is_called_lost() -> None:
    assert "not done" in advise(found(outcome="lost"))[1]


@pytest.mark.parametrize(
    ("state", "words"),
    [("in I/O", "reset"), ("sleeping", "thaw"), ("running", "CPU time")],
)
def test_what_it_was_doing_adds_what_to_expect(state: str, words: str) -> None:
    assert words in advise(found(state=state))[-1]


def worker(module: str, **changed: Any) -> dict[str, Any]:
    return found() | {"worker": module, "where": {"file": "/var/task/app.py"}} | changed


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("posthog.consumer", "posthog.flush()"),
        ("opentelemetry.sdk.trace", "force_flush()"),
        ("apscheduler.schedulers.base", "EventBridge Scheduler"),
        ("unknown_client.thread", "unknown_client's"),
        ("app", "queue.join()"),
        ("", "queue.join()"),
    ],
)
def test_a_thread_that_lives_on_is_not_to_be_joined(module: str, words: str) -> None:
    repair = advise(worker(module))[0]

    assert words in repair
    assert "Call join()" not in repair
