"""Writes windows as CloudWatch embedded metric format (EMF): one JSON object per line.

In: windows of an aggregate, an Emitter, the time. Out: lines, and a count of the windows that CloudWatch
would refuse for their age. What a metric's value looks like is the topic of emf_values. AWS' own Python
libraries are no choice here: they refuse distributions and take 37 to 166 ms to import.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from afterglow.emf_limits import (
    EVENT_BYTES_TARGET,
    MAX_AGE_MS,
    MAX_AHEAD_MS,
    MAX_DIMENSION_VALUE,
    MAX_METRICS,
)
from afterglow.emf_values import parts_of
from afterglow.metrics import METRICS
from afterglow.window import MINUTE_MS, Series, Window

DIMENSIONS: dict[str, Callable[[Series], str]] = {
    "FunctionName": lambda series: series.function,
    "FunctionVersion": lambda series: series.version,
    "InitType": lambda series: series.init_type,
    "MemorySize": lambda series: "unknown" if series.memory_mb is None else str(series.memory_mb),
    "Architecture": lambda series: series.arch,
}


class Emitter(NamedTuple):
    """How it is to be published. Series that share their dimension values are merged, exactly."""

    namespace: str = "Afterglow"
    dimension_sets: tuple[tuple[str, ...], ...] = (("FunctionName",),)  # of names in DIMENSIONS
    values: str = "distribution"  # or "arrays"
    event_bytes: int = EVENT_BYTES_TARGET


class Output(NamedTuple):
    """``too_old`` and ``too_new`` count windows that CloudWatch does not take; they are in no line."""

    lines: list[str]
    too_old: int
    too_new: int


def encode(windows: Iterable[Window], emitter: Emitter, now_ms: int) -> Output:
    """Return the windows as EMF lines without newlines, merged to the emitter's dimension sets."""
    lines: list[str] = []
    too_old = too_new = 0
    for window, dimensions in _grouped(windows, emitter):
        at_ms = window.minute * MINUTE_MS
        if at_ms < now_ms - MAX_AGE_MS:
            too_old += 1
        elif at_ms > now_ms + MAX_AHEAD_MS:
            too_new += 1
        else:
            lines.extend(_documents(window, dimensions, emitter))
    return Output(lines, too_old, too_new)


def dimension_value(text: str) -> str:
    """Return the text as CloudWatch takes it; what had to change shows as "?", "..." or "(empty)"."""
    printable = "".join(char if " " <= char <= "~" else "?" for char in text)
    if not printable.strip():
        return "(empty)"
    return printable if len(printable) <= MAX_DIMENSION_VALUE else printable[: MAX_DIMENSION_VALUE - 3] + "..."


def _grouped(windows: Iterable[Window], emitter: Emitter) -> Iterator[tuple[Window, dict[str, str]]]:
    """Merge what shares a minute and its dimension values. All dimension sets go into one document."""
    names = list(dict.fromkeys(name for names in emitter.dimension_sets for name in names))
    groups: dict[tuple[int, tuple[str, ...]], Window] = {}
    for window in windows:
        key = window.minute, tuple(dimension_value(DIMENSIONS[name](window.series)) for name in names)
        merged = groups.setdefault(key, Window(window.minute, window.series))
        merged.absorb(window)
    for (_, values), window in groups.items():
        yield window, dict(zip(names, values, strict=True))


def _documents(window: Window, dimensions: dict[str, str], emitter: Emitter) -> Iterator[str]:
    """Pack the window's metrics into as few documents as the limits allow."""
    sets = list(dict.fromkeys(tuple(dict.fromkeys(names)) for names in emitter.dimension_sets)) or [()]
    head = f'{{"_aws":{{"Timestamp":{window.minute * MINUTE_MS},"CloudWatchMetrics":[{{"Namespace":'
    head += f'{_json(emitter.namespace)},"Dimensions":{_json(sets)},"Metrics":['
    middle = "]}]}" + "".join(f",{_json(name)}:{_json(value)}" for name, value in dimensions.items())
    room = emitter.event_bytes - len(head) - len(middle) - len("}")
    for members in _packed(_members(window, emitter.values), room):
        definitions = ",".join(definition for _, definition, _ in members)
        yield head + definitions + middle + "".join(target for _, _, target in members) + "}"


Member = tuple[int, str, str]
"""One part of one metric: the part's number, its definition, its target member with the comma before it."""


def _members(window: Window, form: str) -> list[Member]:
    """Return all parts of all metrics, first parts first, in the catalogue's order."""
    members: list[Member] = []
    for name, metric in METRICS.items():
        definition = _json({"Name": name, "Unit": metric.unit})
        for part, value in enumerate(parts_of(window, name, form)):
            members.append((part, definition, f",{_json(name)}:{_json(value)}"))
    return sorted(members, key=lambda member: member[0])


def _packed(members: list[Member], room: int) -> Iterator[list[Member]]:
    """Cut the members into runs for one document each: two parts of a metric share a name, so never both."""
    run: list[Member] = []
    used = 0
    for member in members:
        size = len(member[1]) + len(member[2]) + len(",")
        if run and (run[0][0] != member[0] or len(run) == MAX_METRICS or used + size > room):
            yield run
            run, used = [], 0
        run.append(member)
        used += size
    if run:
        yield run


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
