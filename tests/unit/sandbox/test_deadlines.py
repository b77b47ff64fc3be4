"""When the stacks of an Init are asked for, though nobody says when its time is up."""

import pytest

from afterglow.deadlines import init_limits_s, is_overdue, next_look_s

ON_LAMBDA: dict[str, str] = {}


@pytest.mark.parametrize(
    ("elapsed_s", "look_s"),
    [(0.0, 9.9), (3.0, 9.9), (9.9, 10.9), (10.9, 11.9), (11.2, 11.9), (11.95, 12.9)],
)
def test_an_init_on_demand_is_looked_at_before_its_10_s_and_then_each_second(elapsed_s: float, look_s: float) -> None:
    assert look_s == pytest.approx(next_look_s(elapsed_s, init_limits_s(ON_LAMBDA)))


@pytest.mark.parametrize(("elapsed_s", "look_s"), [(0.0, 0.9), (0.9, 1.9), (2.9, 3.9), (2.95, 3.9)])
def test_an_init_inside_an_invocation_is_looked_at_each_second(elapsed_s: float, look_s: float) -> None:
    assert look_s == pytest.approx(next_look_s(elapsed_s, ()))


def test_looks_never_stand_still() -> None:
    """The next look lies ahead even when the clock is where the last one was due, to the last bit."""
    looks = [0.0]
    while len(looks) < 200:
        looks.append(next_look_s(looks[-1], (3.0, 10.0)))

    assert looks == sorted(set(looks))
    assert {2.9, 9.9} <= {round(look, 6) for look in looks}


@pytest.mark.parametrize(
    ("environ", "limits_s"),
    [
        ({}, (10.0,)),
        ({"AWS_LAMBDA_FUNCTION_TIMEOUT": "3"}, (3.0, 10.0)),
        ({"AWS_LAMBDA_FUNCTION_TIMEOUT": "soon"}, (10.0,)),
        ({"AWS_LAMBDA_FUNCTION_TIMEOUT": "0"}, (10.0,)),
        ({"AWS_LAMBDA_INITIALIZATION_TYPE": "provisioned-concurrency"}, (130.0,)),
        ({"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}, (130.0,)),
    ],
)
def test_the_limits_are_lambdas_and_what_rie_names(environ: dict[str, str], limits_s: tuple[float, ...]) -> None:
    assert limits_s == init_limits_s(environ)


@pytest.mark.parametrize(("took_ms", "overdue"), [(4_000, False), (9_850, False), (9_950, True), (10_600, True)])
def test_an_init_that_ended_at_its_limit_was_ended_for_it(took_ms: float, overdue: bool) -> None:
    assert overdue is is_overdue(took_ms, (10.0,))
