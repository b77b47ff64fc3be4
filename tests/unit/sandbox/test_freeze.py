"""Frozen time: told from clocks alone, apart from waiting and from being starved of CPU."""

import pytest

from afterglow.freeze import KEPT_WINDOWS, SLACK_NS, FrozenTime, Window, window_at_work, window_of
from afterglow.starved import Starved

MS = 1_000_000
S = 1000 * MS
NOT = Starved(0, 0)


def frozen(*windows: tuple[int, ...]) -> FrozenTime:
    time = FrozenTime()
    for window in windows:
        time.add(Window(*window))
    return time


def test_a_poll_that_took_what_it_asked_for_saw_no_freeze() -> None:
    assert window_of(slept_ns=0, asked_ns=50 * MS, woke_ns=50 * MS, starved=NOT) is None


def test_a_poll_that_was_woken_early_saw_no_freeze() -> None:
    assert window_of(slept_ns=0, asked_ns=1 * S, woke_ns=3 * MS, starved=NOT) is None


def test_a_poll_that_took_far_longer_saw_a_freeze_that_began_while_it_waited() -> None:
    window = window_of(slept_ns=1 * S, asked_ns=50 * MS, woke_ns=9 * S, starved=NOT)

    assert Window(from_ns=1 * S, latest_from_ns=1 * S + 50 * MS, to_ns=9 * S) == window


def test_waiting_for_a_cpu_is_no_freeze() -> None:
    assert window_of(slept_ns=0, asked_ns=50 * MS, woke_ns=250 * MS, starved=Starved(200 * MS, 200 * MS)) is None


def test_what_may_have_been_starving_is_no_freeze_but_does_not_shorten_one() -> None:
    """From Linux 6.18 on, time throttled may be part of the run delay, or stand beside it."""
    unsure = Starved(least_ns=20 * MS, most_ns=40 * MS)

    assert window_of(slept_ns=0, asked_ns=1 * MS, woke_ns=50 * MS, starved=unsure) is None
    assert window_at_work(began_ns=0, now_ns=50 * MS, cpu_ns=1 * MS, starved=unsure) is None
    assert Window(0, 1 * MS, 580 * MS) == window_of(0, 1 * MS, 600 * MS, unsure)
    assert Window(0, 21 * MS, 600 * MS, 21 * MS) == window_at_work(0, 600 * MS, 1 * MS, unsure)


def test_a_wait_without_an_end_tells_nothing() -> None:
    assert window_of(slept_ns=0, asked_ns=None, woke_ns=9 * S, starved=NOT) is None


@pytest.mark.parametrize(("late_ns", "is_freeze"), [(SLACK_NS - 1, False), (SLACK_NS, True)])
def test_a_late_timer_is_a_freeze_from_the_slack_on(late_ns: int, is_freeze: bool) -> None:
    assert is_freeze == (window_of(0, 50 * MS, 50 * MS + late_ns, NOT) is not None)


def test_work_that_took_its_cpu_saw_no_freeze() -> None:
    assert window_at_work(began_ns=0, now_ns=100 * MS, cpu_ns=60 * MS, starved=Starved(40 * MS, 40 * MS)) is None


def test_what_work_cannot_account_for_was_a_freeze_that_lay_anywhere_in_it() -> None:
    window = window_at_work(began_ns=0, now_ns=10 * S, cpu_ns=2 * MS, starved=Starved(1 * S, 1 * S))

    assert Window(from_ns=0, latest_from_ns=1 * S + 2 * MS, to_ns=10 * S, awake_ns=1 * S + 2 * MS) == window


def test_what_starves_at_the_thaw_was_not_frozen_any_more() -> None:
    window = window_of(slept_ns=0, asked_ns=1 * MS, woke_ns=600 * MS, starved=Starved(100 * MS, 100 * MS))

    assert Window(from_ns=0, latest_from_ns=1 * MS, to_ns=500 * MS) == window


def test_no_window_adds_nothing() -> None:
    time = FrozenTime()
    time.add(None)

    assert [] == time.windows


def test_frozen_time_within_an_interval_is_the_overlap() -> None:
    time = frozen((10, 12, 20), (30, 31, 50))

    assert 30 == time.between_ns(0, 100)
    assert 15 == time.between_ns(15, 40)
    assert 0 == time.between_ns(20, 30)


def test_an_invocation_that_returned_inside_the_window_was_awake_until_then() -> None:
    time = frozen((10, 40, 90))
    time.exclude(5, 25)

    assert [Window(25, 40, 90)] == time.windows
    assert 65 == time.between_ns(0, 100)


def test_a_return_after_the_latest_beginning_moves_that_as_well() -> None:
    time = frozen((10, 40, 90))
    time.exclude(5, 60)

    assert [Window(60, 60, 90)] == time.windows


def test_an_invocation_that_began_inside_the_window_was_awake_from_then_on() -> None:
    time = frozen((10, 40, 90))
    time.exclude(70, 100)

    assert [Window(10, 40, 70)] == time.windows


def test_an_invocation_inside_the_window_parts_it() -> None:
    time = frozen((10, 40, 90))
    time.exclude(50, 60)

    assert [Window(10, 40, 50), Window(60, 60, 90)] == time.windows


def test_a_freeze_within_a_long_stretch_of_work_lies_outside_of_the_invocations() -> None:
    """The environment was frozen for 500 ms, and we had 200 ms more to work when the next invocation had begun."""
    time = frozen((0, 230, 730, 230))
    before = time.between_ns(0, 510)
    time.exclude(510, 520)

    assert 500 == before, "as much of the freeze as fits before the invocation"
    assert [Window(0, 230, 510, awake_ns=10)] == time.windows
    assert 0 == time.between_ns(520, 730), "counted twice"


def test_a_freeze_that_does_not_fit_before_an_invocation_lay_after_it() -> None:
    time = frozen((0, 120, 620, 120))
    before = time.between_ns(0, 100)
    time.exclude(100, 105)

    assert 0 == before
    assert [Window(105, 120, 620, awake_ns=15)] == time.windows


def test_two_freezes_in_one_stretch_of_work_are_shared_out() -> None:
    time = frozen((0, 100, 1100, 100))
    time.exclude(505, 515)

    assert (505, 495) == (time.between_ns(0, 505), time.between_ns(515, 1100))


def test_what_looked_like_a_freeze_within_an_invocation_was_none() -> None:
    time = frozen((10, 40, 90))
    time.exclude(10, 90)

    assert [] == time.windows


@pytest.mark.parametrize(("start_ns", "end_ns"), [(0, 10), (90, 95)])
def test_an_invocation_outside_the_window_changes_nothing(start_ns: int, end_ns: int) -> None:
    time = frozen((10, 40, 90))
    time.exclude(start_ns, end_ns)

    assert [Window(10, 40, 90)] == time.windows


def test_only_so_many_windows_are_kept() -> None:
    time = frozen(*((n, n, n + 1) for n in range(0, 4 * KEPT_WINDOWS, 2)))

    assert KEPT_WINDOWS == len(time.windows)
    assert 4 * KEPT_WINDOWS - 1 == time.windows[-1].to_ns
