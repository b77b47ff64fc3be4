"""The judge itself: what became of work, by when it arrived; which finding stands for it; what is a false alarm."""

from typing import Any

import pytest
from tests.real.cases import Case, Work, all_cases
from tests.real.judging import judge, void
from tests.real.playing import Arrival, Played
from tests.real.truth import late, pieces, windows

WORK = Work("/notify", ("app.py:7",), ("thread",), "thread", may=False, invocations=(), outcomes=())
SILENT = Case("silent", "", (), 3, (), {}, (), {}, True, (), (), (), (), (), "app.handler", None)
LEAVING = SILENT._replace(name="leaving", work=(WORK,), well_behaved=False)
SECOND_S = 1_000.0  # when the run began


def document(findings: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Three invocations of 0.1 s, each frozen for 0.9 s after it, and SHUTDOWN at 3 s."""

    def invocation(n: int) -> dict[str, Any]:
        frozen_before_ms = 900.0 if n > 1 else 0.0
        caller = {"sent_at_ms": (SECOND_S + n - 1) * 1000, "took_ms": 100.0, "frozen_before_ms": frozen_before_ms}
        return {"invocation": n, "environment": 1, "caller": {**caller, "outcome": "ok", "error_type": None}}

    return {
        "run": {"frozen_after_ms": 900.0},
        "environments": [{"environment": 1, "shutdown": {"at_ms": (SECOND_S + 3) * 1000, "took_ms": 50.0}}],
        "invocations": [invocation(n) for n in (1, 2, 3)],
        "findings": findings or [],
    }


def arrival(order: int, arrived_s: float, answered_s: float | None) -> Arrival:
    over_s = None if answered_s is None else SECOND_S + answered_s
    return Arrival("/notify", (f"order-{order}",), SECOND_S + arrived_s, over_s, over_s)


def finding(invocation: int, outcome: str, line: int = 7, what: str = "thread") -> dict[str, Any]:
    where = {"file": "/function/app.py", "line": line, "function": "handler"}
    found = {"kind": "lingering", "what": what, "name": "notify", "where": where, "state": "in I/O"}
    return {**found, "invocation": invocation, "outcome": outcome}


def played(
    case: Case, arrivals: list[Arrival], findings: list[dict[str, Any]] | None = None, report: str = ""
) -> Played:
    return Played(case, document(findings), report, tuple(arrivals), {}, "")


def wrong(run: Played) -> list[str]:
    return [each.aspect for each in judge(run) if not each.holds]


def test_windows_are_the_callers_and_the_freezers() -> None:
    found = [(each.returned_s, each.frozen_s, each.thawed_s) for each in windows(document())]

    assert [pytest.approx((n + 0.1, n + 0.1, n + 1.0)) for n in (SECOND_S, SECOND_S + 1, SECOND_S + 2)] == found


@pytest.mark.parametrize(
    ("arrivals", "must", "outcomes"),
    [
        ([arrival(1, 0.02, 0.05)], False, set()),  # answered before the return
        ([arrival(1, 0.02, 0.105)], False, {"done", "resumed", "lost", "open"}),  # at the border
        ([arrival(1, 0.02, 0.3)], True, {"resumed"}),  # in flight, answered while all was frozen
        ([arrival(1, 1.02, 1.05)], True, {"resumed"}),  # sent in the next invocation
        ([arrival(1, 3.0, 3.01)], True, {"resumed", "lost"}),  # sent at SHUTDOWN
        ([arrival(1, 1.02, None)], True, {"resumed", "lost"}),  # never answered
        ([], True, {"resumed", "lost", "open"}),  # never sent
    ],
)
def test_when_it_arrived_says_what_became_of_it(arrivals: list[Arrival], must: bool, outcomes: set[str]) -> None:
    first = pieces(played(LEAVING, arrivals))[0]

    assert (must, outcomes) == (first.must, set(first.outcomes)), first.why


IN_FLIGHT = [arrival(n, n - 1 + 0.05, n - 1 + 0.3) for n in (1, 2, 3)]
TOLD = [finding(1, "resumed"), finding(2, "resumed"), finding(3, "lost")]


@pytest.mark.parametrize(
    ("findings", "report", "expected"),
    [
        (TOLD, "", set()),
        (TOLD[:2], "", {"found"}),
        ([finding(1, "resumed"), finding(1, "lost"), *TOLD[1:]], "", {"no false alarm"}),
        ([*TOLD, finding(2, "lost", what="timer")], "", {"no false alarm"}),
        ([finding(1, "resumed", line=9), *TOLD[1:]], "", {"line"}),
        ([finding(1, "lost"), *TOLD[1:]], "", {"outcome"}),
        ([finding(1, "resumed"), finding(1, "resumed"), finding(1, "lost")], "", {"found", "no false alarm"}),
        (TOLD, "Call\njoin() on the thread", {"advice"}),
    ],
)
def test_each_wrong_claim_is_told_apart(findings: list[dict[str, Any]], report: str, expected: set[str]) -> None:
    assert expected == set(wrong(played(LEAVING, IN_FLIGHT, findings, report)))


def test_where_nothing_was_under_way_nothing_is_lost() -> None:
    lost = finding(1, "lost")

    assert [] == wrong(played(SILENT, [], [{**lost, "kind": "housekeeping", "outcome": "open"}]))
    assert [] == wrong(played(SILENT, [], [finding(1, "open")])), "that a thread lives on may be said"
    assert ["no false alarm", "idle"] == wrong(played(SILENT, [], [lost]))
    assert ["idle"] == wrong(played(SILENT, [], report="What it had left to do was not\ndone"))


def test_a_function_that_does_not_do_what_its_case_says_is_not_judged() -> None:
    prompt = SILENT._replace(arrives=("/notify",))

    assert ["#1 by /notify", "#2 by /notify", "#3 by /notify"] == late(played(prompt, IN_FLIGHT))
    assert void(played(prompt, [arrival(n, n - 1 + 0.02, n - 1 + 0.05) for n in (1, 2, 3)])) is None
    assert void(played(SILENT._replace(invocations=4), [])) is not None
    assert void(played(LEAVING, [arrival(n, n - 1 + 0.02, n - 1 + 0.05) for n in (1, 2, 3)])) is not None


def test_the_corpus_is_large_and_half_well_behaved() -> None:
    cases = all_cases()

    assert len(cases) >= 40
    assert 2 * sum(case.well_behaved for case in cases) >= len(cases)
    assert [] == [library for case in cases for library in case.libraries if "==" not in library]
