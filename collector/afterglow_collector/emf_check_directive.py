"""Says what is wrong with one MetricDirective: its namespace, its dimension sets, its metric definitions.

In: a path, the directive, the document whose root holds the targets. Out: sentences, as in ``emf_check``.
"""

from collections.abc import Iterator
from typing import Any

from afterglow.emf_limits import (
    MAX_DIMENSION_NAME,
    MAX_DIMENSION_VALUE,
    MAX_DIMENSIONS,
    MAX_METRIC_NAME,
    MAX_METRICS,
    MAX_NAMESPACE,
    STORAGE_RESOLUTIONS,
)
from afterglow_collector.emf_check_values import named, target_problems, text_problems, unknown_members

_SIZES = tuple(
    (scale + unit).capitalize() for unit in ("bytes", "bits") for scale in ("", "kilo", "mega", "giga", "tera")
)
UNITS = frozenset(
    (
        *("Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "None", *_SIZES),
        *(f"{unit}/Second" for unit in ("Count", *_SIZES)),
    )
)
"""MetricDatum's units."""


def directive_problems(path: str, directive: Any, document: dict[str, Any]) -> Iterator[str]:
    """Check one directive, and the members of the root that it points to."""
    if not isinstance(directive, dict):
        yield f"{path}: {named(directive)}; an object with Namespace, Dimensions and Metrics"
        return
    yield from unknown_members(path, directive, frozenset(("Namespace", "Dimensions", "Metrics")))
    yield from _namespace_problems(f"{path}.Namespace", directive.get("Namespace"))
    yield from _dimension_problems(f"{path}.Dimensions", directive.get("Dimensions"), document)
    yield from _metrics_problems(f"{path}.Metrics", directive.get("Metrics"), document)


def _namespace_problems(path: str, namespace: Any) -> Iterator[str]:
    yield from text_problems(path, namespace, MAX_NAMESPACE)
    if isinstance(namespace, str) and namespace.startswith("AWS/"):
        yield f"{path}: {namespace!r}; AWS/ is reserved for AWS' own services"


def _dimension_problems(path: str, sets: Any, document: dict[str, Any]) -> Iterator[str]:
    if not isinstance(sets, list) or not sets:
        yield f"{path}: {named(sets)}; an array of at least one dimension set, which may be empty"
        return
    for index, names in enumerate(sets):
        here = f"{path}[{index}]"
        if not isinstance(names, list):
            yield f"{here}: {named(names)}; an array of dimension names"
            continue
        if len(names) > MAX_DIMENSIONS:
            yield f"{here}: {len(names)} dimensions; at most {MAX_DIMENSIONS}"
        if names in sets[:index]:
            yield f"{here}: the same dimension set as an earlier one; each set once"
        for position, name in enumerate(names):
            yield from _dimension_name_problems(f"{here}[{position}]", name, names[:position], document)


def _dimension_name_problems(path: str, name: Any, before: list[Any], document: dict[str, Any]) -> Iterator[str]:
    yield from text_problems(path, name, MAX_DIMENSION_NAME)
    if name in before:
        yield f"{path}: {name!r} stands in this set twice; once"
    elif isinstance(name, str) and name not in document:
        yield f"$.{name}: missing; {path} names it, so the root has it, with a string"
    elif isinstance(name, str):
        yield from text_problems(f"$.{name}", document[name], MAX_DIMENSION_VALUE, colon_first=True)


def _metrics_problems(path: str, metrics: Any, document: dict[str, Any]) -> Iterator[str]:
    if not isinstance(metrics, list) or not 0 < len(metrics) <= MAX_METRICS:
        what = f"{len(metrics)} metrics" if isinstance(metrics, list) else named(metrics)
        yield f"{path}: {what}; an array of 1 to {MAX_METRICS} metric definitions"
        return
    names: set[str] = set()
    for index, metric in enumerate(metrics):
        here = f"{path}[{index}]"
        if not isinstance(metric, dict):
            yield f"{here}: {named(metric)}; an object with Name, and perhaps Unit and StorageResolution"
            continue
        yield from _definition_problems(here, metric)
        name = metric.get("Name")
        if not isinstance(name, str):
            continue
        if name in names:
            yield f"{here}.Name: {name!r} is defined twice; once per directive"
        elif name not in document:
            yield f"$.{name}: missing; {here} names it, so the root has it, with its value"
        else:
            yield from target_problems(f"$.{name}", document[name])
        names.add(name)


def _definition_problems(path: str, metric: dict[str, Any]) -> Iterator[str]:
    yield from unknown_members(path, metric, frozenset(("Name", "Unit", "StorageResolution")))
    yield from text_problems(f"{path}.Name", metric.get("Name"), MAX_METRIC_NAME)
    unit = metric.get("Unit", "None")
    if not isinstance(unit, str) or unit not in UNITS:
        yield f"{path}.Unit: {unit!r}; one of {', '.join(sorted(UNITS))}"
    resolution = metric.get("StorageResolution", 60)
    if type(resolution) is not int or resolution not in STORAGE_RESOLUTIONS:
        yield f"{path}.StorageResolution: {resolution!r}; 1 or 60 (seconds)"
