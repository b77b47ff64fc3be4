"""Windows as JSON, to be kept on disk or checked by another engine.

In: windows of an aggregate. Out: one JSON-able list, and back through ``from_state``, exactly. One window is
``[minute, [series…], {metric: total}, {metric: [sum, min, max, {SEH1 bin: count}]}]``, every figure a whole
number of thousandths of the metric's unit; bin -74 holds the zeros.
"""

from collections.abc import Iterable
from typing import Any, get_args, get_type_hints

from afterglow.distribution import HIGHEST_BIN, ZERO_BIN, Distribution, Total
from afterglow.metrics import METRICS
from afterglow.window import Series, Window

STATE_VERSION = 1


class StateError(ValueError):
    """A state that this version did not write: says what is wrong with it."""


def to_state(windows: Iterable[Window]) -> dict[str, Any]:
    """Return the windows as plain JSON values."""
    return {"v": STATE_VERSION, "windows": [_window_state(window) for window in windows]}


def from_state(state: object) -> list[Window]:
    """Return the windows of a state, fit for ``Aggregate.absorb``; StateError if it is none."""
    if not isinstance(state, dict) or state.get("v") != STATE_VERSION:
        raise StateError(f'a state is an object with "v": {STATE_VERSION}')
    try:
        return [_window(*window) for window in state["windows"]]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise StateError(f"not a list of windows: {error}") from error


def _window_state(window: Window) -> list[Any]:
    totals = {name: total.sum_milli for name, total in window.totals.items() if total.known}
    distributions = {
        name: [d.sum_milli, d.min_milli, d.max_milli, {str(k): d.bins[k] for k in sorted(d.bins)}]
        for name, d in window.distributions.items()
        if d.bins
    }
    return [window.minute, list(window.series), totals, distributions]


def _window(minute: object, series: Any, totals: Any, distributions: Any) -> Window:
    window = Window(_whole(minute), _series(series))
    for name, sum_milli in totals.items():
        total = window.totals[_metric(name, "count")] = Total()
        total.sum_milli, total.known = _whole(sum_milli), True
    for name, (sum_milli, min_milli, max_milli, bins) in distributions.items():
        distribution = window.distributions[_metric(name, "distribution")] = Distribution()
        distribution.sum_milli = _whole(sum_milli)
        distribution.min_milli = _whole(min_milli)
        distribution.max_milli = _whole(max_milli)
        distribution.bins = {_bin(bin_number): _whole(count) for bin_number, count in bins.items()}
    return window


def _series(fields: Any) -> Series:
    series = Series(*fields)
    for (name, wanted), value in zip(get_type_hints(Series).items(), series, strict=True):
        if type(value) not in (get_args(wanted) or (wanted,)):
            raise ValueError(f"series {name} {value!r}")
    return series


def _metric(name: str, shape: str) -> str:
    if name not in METRICS or METRICS[name].shape != shape:
        raise ValueError(f"no {shape} is called {name!r}")
    return name


def _bin(text: str) -> int:
    bin_number = int(text)
    if not ZERO_BIN <= bin_number <= HIGHEST_BIN:
        raise ValueError(f"bin {bin_number} is none of {ZERO_BIN} to {HIGHEST_BIN}")
    return bin_number


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no whole number from 0")
    return value
