"""Functions with real libraries: what `afterglow run` says of each is held against what truly came at the other end."""

import contextlib
from collections.abc import Iterator

import pytest
from tests.real.cases import Case, all_cases
from tests.real.judging import judge, void
from tests.real.packages import MissingPackageError
from tests.real.playing import play
from tests.real.services import MissingServerError, Services

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    with contextlib.ExitStack() as stack:
        yield Services(stack)


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_what_is_said_of_a_real_function_is_true(case: Case, services: Services, namespaces: None) -> None:
    try:
        played = play(case, services)
    except (MissingPackageError, MissingServerError) as missing:
        pytest.skip(str(missing))

    assert void(played) is None, f"the function did not do what its case says: {case.truth}\n{played.report}"
    wrong = [f"{each.aspect} [{each.about}]: {each.reason}" for each in judge(played) if not each.holds]
    if wrong and case.limits:
        pytest.xfail(case.limits)
    assert [] == wrong, f"{case.truth}\n" + "\n".join(wrong) + f"\n{played.report}"
