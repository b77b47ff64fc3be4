"""The lifecycle table: every pair that Lambda and the hook can bring about, and none besides."""

import itertools

import pytest

from afterglow.lifecycle import NEXT, Event, State, advance

EVENTS = (Event.INVOKE, Event.RETURNED, Event.SHUTDOWN)
LIVING = (State.STARTED, State.RUNNING, State.GLOWING)


def run(*events: str) -> str:
    state = State.STARTED
    for event in events:
        state = advance(state, event)
    return state


def test_a_quiet_life() -> None:
    assert run("INVOKE", "RETURNED", "INVOKE", "RETURNED") == State.GLOWING
    assert run("INVOKE", "RETURNED", "SHUTDOWN") == State.DONE


def test_an_environment_may_end_without_an_invocation() -> None:
    assert run("SHUTDOWN") == State.DONE


def test_a_handler_that_never_returns_is_ended_by_shutdown() -> None:
    assert run("INVOKE", "SHUTDOWN") == State.DONE


def test_without_a_hook_an_invocation_follows_an_invocation() -> None:
    assert run("INVOKE", "INVOKE") == State.RUNNING


def test_the_hooks_fact_may_overtake_invoke() -> None:
    assert run("RETURNED") == State.GLOWING


@pytest.mark.parametrize(("state", "event"), list(itertools.product(LIVING, EVENTS)))
def test_a_living_environment_knows_what_to_do_with_every_event(state: str, event: str) -> None:
    assert (state, event) in NEXT


@pytest.mark.parametrize("event", EVENTS)
def test_nothing_comes_after_the_end(event: str) -> None:
    with pytest.raises(KeyError):
        advance(State.DONE, event)


def test_an_unknown_event_is_a_bug_report() -> None:
    with pytest.raises(KeyError, match="THAW"):
        advance(State.STARTED, "THAW")
