"""Says what is wrong with the leaves of an EMF document: names, dimension values, metric values.

In: a path and what stands there. Out: sentences, as in ``emf_check``.
"""

import math
from collections.abc import Iterator
from typing import Any

from afterglow.emf_limits import MAX_ABSOLUTE, MAX_VALUES

DISTRIBUTION = ("Values", "Counts", "Max", "Min", "Count", "Sum")


def text_problems(path: str, text: Any, longest: int, *, colon_first: bool = False) -> Iterator[str]:
    """Check a name, or a dimension's value; only the latter may start with a colon."""
    if not isinstance(text, str):
        yield f"{path}: {named(text)}; a string"
    elif not 0 < len(text) <= longest:
        yield f"{path}: {len(text)} characters; 1 to {longest}"
    elif not all(" " <= char <= "~" for char in text):
        yield f"{path}: {text[:40]!r}; printable ASCII"
    elif not text.strip():
        yield f"{path}: blank; at least one character that is not a space"
    elif text.startswith(":") and not colon_first:
        yield f"{path}: {text[:40]!r}; no colon at the start"


def target_problems(path: str, value: Any) -> Iterator[str]:
    """Check a metric's value: a number, an array of numbers, or a distribution."""
    if isinstance(value, list):
        yield from _array_problems(path, value)
    elif isinstance(value, dict):
        yield from _distribution_problems(path, value)
    else:
        yield from _number_problems(path, value)


def _number_problems(path: str, value: Any) -> Iterator[str]:
    if type(value) not in (int, float):
        yield f"{path}: {named(value)}; a number, an array of numbers or a distribution"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: {value}; a finite number"
    elif abs(value) > MAX_ABSOLUTE:
        yield f"{path}: {str(value)[:40]}; between -2^360 and 2^360"


def _array_problems(path: str, values: list[Any]) -> Iterator[str]:
    if not 0 < len(values) <= MAX_VALUES:
        yield f"{path}: {len(values)} values; 1 to {MAX_VALUES}"
    for index, value in enumerate(values):
        yield from _number_problems(f"{path}[{index}]", value)


def _distribution_problems(path: str, value: dict[str, Any]) -> Iterator[str]:
    if value.keys() != set(DISTRIBUTION):
        yield f"{path}: members {', '.join(sorted(value)) or 'none'}; {', '.join(DISTRIBUTION)}"
        return
    problems = [problem for name in DISTRIBUTION[2:] for problem in _number_problems(f"{path}.{name}", value[name])]
    for name in DISTRIBUTION[:2]:
        if isinstance(value[name], list):
            problems += _array_problems(f"{path}.{name}", value[name])
        else:
            problems.append(f"{path}.{name}: {named(value[name])}; an array of numbers")
    yield from problems
    if not problems:
        yield from _disagreements(path, value)


def _disagreements(path: str, value: dict[str, Any]) -> Iterator[str]:
    """Compare the members of a distribution, each of which is well formed."""
    values, counts = value["Values"], value["Counts"]
    if len(values) != len(counts):
        yield f"{path}.Counts: {len(counts)} for {len(values)} Values; one count for each value"
    if min(counts) <= 0:
        yield f"{path}.Counts: {min(counts)}; above zero"
    if not math.isclose(sum(counts), value["Count"], rel_tol=1e-9):
        yield f"{path}.Count: {value['Count']}; the sum of Counts, {sum(counts)}"
    if value["Min"] > value["Max"]:
        yield f"{path}.Min: {value['Min']}; at most Max, {value['Max']}"


def unknown_members(path: str, members: dict[str, Any], known: frozenset[str]) -> Iterator[str]:
    """Name the members that EMF does not define: an object must not have any others."""
    for name in sorted(members.keys() - known):
        yield f"{path}.{name}: no member that EMF knows; known are {', '.join(sorted(known))}"


def named(value: Any) -> str:
    """Return the type and the beginning of a value, for a sentence."""
    return "missing or null" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"
