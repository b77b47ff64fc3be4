"""What the value of one metric looks like in EMF.

In: a window and a metric's name. Out: JSON values, one per document that the metric needs.

A distribution is written as ``{"Values", "Counts", "Max", "Min", "Count", "Sum"}``: CloudWatch computes
percentiles from it. The form is not in the EMF specification, but AWS' own producers write it
(awslabs/metrique, ADOT's awsemfexporter). The form "arrays" is the specified one, plain arrays of values: it
costs more bytes, and its Sum is within 5 %; Count, Min and Max are right in both. A metric of one value is
that number in both.

More than 100 bins or values make further documents, as in awsemfexporter: Count, Min and Max are each part's
own, and the whole Sum stands in the first part, so that the parts add up to the window.
"""

from typing import Any

from afterglow.distribution import Distribution
from afterglow.emf_limits import MAX_VALUES
from afterglow.window import Window


def parts_of(window: Window, name: str, form: str) -> list[Any]:
    """Return the metric's value in as many parts as its form needs: none if there is nothing to tell."""
    total = window.totals.get(name)
    if total is not None:
        return [_number(total.sum_milli)] if total.known else []
    distribution = window.distributions.get(name)
    if distribution is None or not distribution.bins:
        return []
    if distribution.count() == 1:
        return [_number(distribution.sum_milli)]
    return _arrays(distribution) if form == "arrays" else _distributions(distribution)


def _distributions(distribution: Distribution) -> list[Any]:
    points = distribution.points()
    parts: list[Any] = []
    for start in range(0, len(points), MAX_VALUES):
        values, counts = zip(*points[start : start + MAX_VALUES], strict=True)
        parts.append(
            {
                "Values": [_short(value) for value in values],
                "Counts": counts,
                "Max": _short(values[-1]),
                "Min": _short(values[0]),
                "Count": sum(counts),
                "Sum": 0 if parts else _number(distribution.sum_milli),
            }
        )
    parts[0]["Min"] = _number(distribution.min_milli)
    parts[-1]["Max"] = _number(distribution.max_milli)
    return parts


def _arrays(distribution: Distribution) -> list[Any]:
    """Return every value as its bin's middle; the lowest and the highest are what they were."""
    values = [_short(value) for value, count in distribution.points() for _ in range(count)]
    values[0], values[-1] = _number(distribution.min_milli), _number(distribution.max_milli)
    return [values[start : start + MAX_VALUES] for start in range(0, len(values), MAX_VALUES)]


def _number(milli: int) -> float:
    """Return thousandths in the unit; a whole number without its ".0"."""
    return milli / 1000 if milli % 1000 else milli // 1000


def _short(value: float) -> float:
    return int(value) if value == int(value) else value
