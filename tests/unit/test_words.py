"""Figures with their units, and outcomes in words."""

from typing import Any

import pytest

from afterglow_collector.words import MB, UNKNOWN, counted, in_bytes, in_mb, in_ms, listed, outcome


@pytest.mark.parametrize(
    ("value_ms", "words"),
    [
        (None, UNKNOWN),
        (0.0, "0.00 ms"),
        (0.424, "0.42 ms"),
        (0.999, "1.00 ms"),
        (8.06, "8.1 ms"),
        (9.96, "10 ms"),
        (502.4, "502 ms"),
        (999.6, "1.00 s"),
        (1251.0, "1.25 s"),
        (9996.0, "10.0 s"),
        (300_000.0, "5 min"),
    ],
)
def test_durations_keep_the_figures_that_matter(value_ms: float | None, words: str) -> None:
    assert in_ms(value_ms) == words


def test_sizes_are_in_lambdas_megabytes() -> None:
    assert [in_mb(None), in_mb(9.8 * MB), in_mb(57 * MB)] == [UNKNOWN, "9.8 MB", "57 MB"]
    assert [in_bytes(None), in_bytes(812), in_bytes(3400)] == [UNKNOWN, "812 B", "3.4 kB"]


def test_one_is_not_many() -> None:
    assert [counted(1, "call"), counted(2, "call"), counted(0, "process", "processes")] == [
        "1 call",
        "2 calls",
        "0 processes",
    ]


def test_a_long_list_is_cut_short() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(list("abcdefg")) == "a, b, c, d and 3 more"


def ending(**changed: Any) -> str:
    finding: dict[str, Any] = {
        "outcome": "open",
        "reason": None,
        "resumed_in": None,
        "resumed_invocation": None,
        "frozen_ms": None,
        "ended": False,
    }
    return outcome(finding | changed)


RESUMED = {"outcome": "resumed", "resumed_in": "r-3", "resumed_invocation": 3, "frozen_ms": 502.0}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({}, "still going on when last seen"),
        ({"outcome": "done", "ended": True}, "ended by itself before the environment was frozen"),
        (RESUMED, "went on in invocation #3; lay frozen for 502 ms"),
        (RESUMED | {"ended": True}, "went on in invocation #3, then ended; lay frozen for 502 ms"),
        (RESUMED | {"resumed_invocation": None, "frozen_ms": 0.0}, "went on in request r-3"),
        ({"outcome": "resumed", "ended": True}, "went on when SHUTDOWN thawed the environment, then ended"),
        ({"outcome": "lost", "reason": "shutdown: sandboxterminated"}, "lost at SHUTDOWN"),
        ({"outcome": "lost", "reason": "shutdown: timeout"}, "lost at SHUTDOWN, after a timeout"),
        ({"outcome": "lost", "reason": "shutdown: meteor"}, "lost at SHUTDOWN (meteor)"),
        ({"outcome": "lost"}, "lost at the end of the environment"),
        ({"outcome": "lost", "reason": "cancelled by asyncio.run"}, "cancelled by asyncio.run"),
        (
            RESUMED | {"outcome": "lost", "reason": "shutdown: spindown"},
            "went on in invocation #3, then lost at SHUTDOWN; lay frozen for 502 ms",
        ),
    ],
)
def test_outcomes_tell_where_it_went_on_and_what_became_of_it(changed: dict[str, Any], words: str) -> None:
    assert ending(**changed) == words
