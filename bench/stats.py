"""The statistics. In: plain numbers. Out: summaries and intervals; no I/O, no hidden randomness."""

import random
import statistics
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")

RESAMPLES = 2_000
CONFIDENCE = 0.95


class Summary(NamedTuple):
    """Some values of one kind."""

    n: int
    least: float
    median: float
    p90: float
    most: float


class Interval(NamedTuple):
    """A median, and where it may lie (CONFIDENCE)."""

    median: float
    low: float
    high: float


def summary(values: Sequence[float]) -> Summary:
    """Return what is said of ``values``, which must not be empty; p90 by linear interpolation."""
    return Summary(len(values), min(values), statistics.median(values), quantile(values, 0.9), max(values))


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of them lie, interpolated between neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def differences(values: Sequence[float], baseline: Sequence[float]) -> list[float]:
    """Return value less baseline, pair by pair; ValueError when one of them has no partner."""
    return [value - base for value, base in zip(values, baseline, strict=True)]


def bootstrap(values: Sequence[float], seed: int = 1) -> Interval:
    """Return the median of ``values`` with its percentile bootstrap interval (Efron 1979); same seed, same result."""
    chance = random.Random(seed)
    medians = [statistics.median(chance.choices(values, k=len(values))) for _ in range(RESAMPLES)]
    tail = (1 - CONFIDENCE) / 2
    return Interval(statistics.median(values), quantile(medians, tail), quantile(medians, 1 - tail))


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the rise per step of the least-squares line through ``points`` of (x, y)."""
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope


def rotated(items: Sequence[Item], turn: int) -> list[Item]:
    """Return the items in the order of the given turn: each comes first equally often."""
    start = turn % len(items)
    return [*items[start:], *items[:start]]
