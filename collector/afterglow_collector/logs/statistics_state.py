"""Statistics as JSON, for the cursor file. In: figures by function. Out: plain values, and back, exactly."""

from typing import Any

from afterglow.distribution import HIGHEST_BIN, ZERO_BIN, Distribution
from afterglow_collector.logs.statistics import COUNTED, TIMED, Statistics

ADDED = frozenset(("repeated",))
"""Counts that cursors of an earlier version have not."""


def to_state(functions: dict[str, Statistics]) -> dict[str, Any]:
    """Return all figures as plain JSON values."""
    return {name: _state_of(statistics) for name, statistics in sorted(functions.items())}


def from_state(state: dict[str, Any]) -> dict[str, Statistics]:
    """Return the figures that a state holds; ValueError if it holds something else."""
    try:
        return {name: _statistics(fields) for name, fields in state.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not figures by function: {error!r}") from None


def _state_of(statistics: Statistics) -> dict[str, Any]:
    return {
        "counts": statistics.counts,
        "memory_mb": {str(mb): count for mb, count in sorted(statistics.memory_mb.items())},
        "arch": statistics.arch,
        "distributions": {
            name: [d.sum_milli, d.min_milli, d.max_milli, {str(k): d.bins[k] for k in sorted(d.bins)}]
            for name, d in statistics.distributions.items()
            if d.bins
        },
    }


def _statistics(fields: dict[str, Any]) -> Statistics:
    statistics = Statistics()
    for name in COUNTED:
        statistics.counts[name] = _whole(fields["counts"].get(name, 0) if name in ADDED else fields["counts"][name])
    statistics.memory_mb = {int(mb): _whole(count) for mb, count in fields["memory_mb"].items()}
    statistics.arch = None if fields["arch"] is None else str(fields["arch"])
    for name, (sum_milli, min_milli, max_milli, bins) in fields["distributions"].items():
        if name not in TIMED:
            raise ValueError(f"no distribution is called {name!r}")
        distribution = statistics.distributions[name] = Distribution()
        distribution.sum_milli = _whole(sum_milli)
        distribution.min_milli, distribution.max_milli = _whole(min_milli), _whole(max_milli)
        distribution.bins = {_bin(number): _whole(count) for number, count in bins.items()}
    return statistics


def _bin(text: str) -> int:
    number = int(text)
    if not ZERO_BIN <= number <= HIGHEST_BIN:
        raise ValueError(f"bin {number} is none of {ZERO_BIN} to {HIGHEST_BIN}")
    return number


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no whole number from 0")
    return value
