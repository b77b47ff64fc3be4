"""Reads EMF documents back into numbers. In: one EMF document of ours. Out: a point per metric.

For sinks that speak something else than EMF. All dimension sets of a document describe the same values, so
their names are taken together: a point per set would count every value as often as there are sets.
"""

import json
from typing import Any, NamedTuple

from afterglow.distribution import bin_of
from afterglow.metrics import METRICS

MILLI = 1000


class Bins(NamedTuple):
    """A distribution: counts by SEH1 bin; sum, min and max in the metric's unit."""

    counts: dict[int, int]
    sum: float
    min: float
    max: float


class Point(NamedTuple):
    """One metric of one minute. ``value`` is a sum, or a distribution."""

    metric: str
    unit: str
    dimensions: dict[str, str]
    at_ms: int  # the minute's first millisecond
    value: float | Bins


def points_of(payload: str) -> list[Point]:
    """Return the document's points; ValueError if it is no EMF document."""
    try:
        document = json.loads(payload)
        at_ms = int(document["_aws"]["Timestamp"])
        return [
            Point(metric["Name"], metric.get("Unit", "None"), dimensions, at_ms, _value(metric["Name"], document))
            for directive in document["_aws"]["CloudWatchMetrics"]
            for dimensions in [_dimensions(directive, document)]
            for metric in directive["Metrics"]
        ]
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an EMF document: {error!r}") from None


def _dimensions(directive: dict[str, Any], document: dict[str, Any]) -> dict[str, str]:
    return {name: str(document[name]) for names in directive["Dimensions"] for name in names}


def _value(name: str, document: dict[str, Any]) -> float | Bins:
    """Return a number as a sum or as a distribution of one, as the catalogue says; an unknown one is a sum."""
    value = document[name]
    if isinstance(value, dict):
        counts = zip(value["Values"], value["Counts"], strict=True)
        return Bins(_binned(counts), value["Sum"], value["Min"], value["Max"])
    if isinstance(value, list):
        return Bins(_binned((one, 1) for one in value), sum(value), min(value), max(value))
    if name in METRICS and METRICS[name].shape == "distribution":
        return Bins(_binned([(value, 1)]), value, value, value)
    return float(value)


def _binned(values: Any) -> dict[int, int]:
    """Return counts by bin: what stands for a bin lies in that bin, rounded to thousandths too."""
    bins: dict[int, int] = {}
    for value, count in values:
        number = bin_of(round(value * MILLI))
        bins[number] = bins.get(number, 0) + int(count)
    return bins
