"""Which modules of an import are worth a row, and which lines of the function's own code brought them in.

In: one entry of the run document's ``imports``. Out: rows and lines, biggest first. Pure.
"""

from typing import Any, NamedTuple

HEAVY_MS = 10.0
HEAVY_SHARE = 0.05
ROWS_SHOWN = 14
LINES_SHOWN = 5


class Row(NamedTuple):
    """One module in the tree."""

    depth: int
    name: str
    total_ms: float
    self_ms: float


class Line(NamedTuple):
    """One line of the function's own code, with everything that it imports."""

    file: str
    number: int
    total_ms: float
    modules: int


def total_ms_of(entry: dict[str, Any]) -> float:
    """Return what the import took in all: the totals where the tree begins, and what hangs nowhere."""
    return float(sum(m["total_ms"] for m in entry["modules"] if m["parent"] is None) + entry["loose_ms"])


def heavy_from_ms(entry: dict[str, Any]) -> float:
    """Return what a module must take to stand out."""
    return max(HEAVY_MS, HEAVY_SHARE * total_ms_of(entry))


def rows_of(entry: dict[str, Any], most: int = ROWS_SHOWN) -> list[Row]:
    """Return the tree, cut down to what stands out; siblings with the highest total first."""
    modules = entry["modules"]
    heavy = [place for place, m in enumerate(modules) if m["total_ms"] >= heavy_from_ms(entry)]
    # Nothing takes longer than what imports it, and parents come first: the biggest are a tree again.
    shown = set(sorted(heavy, key=lambda place: (-modules[place]["total_ms"], place))[:most])
    below = _children(modules)
    rows: list[Row] = []
    pending = [(place, 0) for place in _ranked(below[None], modules) if place in shown]
    while pending:
        place, depth = pending.pop(0)
        module = modules[place]
        rows.append(Row(depth, module["name"], module["total_ms"], module["self_ms"]))
        children = _ranked(below[place], modules)
        pending[:0] = [(child, depth + 1) for child in children if child in shown]
    return rows


def lines_of(entry: dict[str, Any], most: int = LINES_SHOWN) -> list[Line]:
    """Return the lines that took the most; what is imported below another one's module counts for both."""
    modules = entry["modules"]
    counts = counts_of(modules)
    totals: dict[tuple[str, int], tuple[float, int]] = {}
    for place, module in enumerate(modules):
        where = (module["file"], module["line"])
        above = modules[module["parent"]] if module["parent"] is not None else None
        if None in where or (above is not None and (above["file"], above["line"]) == where):
            continue
        total_ms, count = totals.get(where, (0.0, 0))
        totals[where] = (total_ms + module["total_ms"], count + counts[place])
    lines = [Line(file, number, total_ms, count) for (file, number), (total_ms, count) in totals.items()]
    heavy = [line for line in lines if line.total_ms >= heavy_from_ms(entry)]
    return sorted(heavy, key=lambda line: -line.total_ms)[:most]


def counts_of(modules: list[dict[str, Any]]) -> list[int]:
    """Return for each module how many there are in its branch, itself and the unlisted ones included."""
    counts = [1 + module["others"] for module in modules]
    for place in reversed(range(len(modules))):
        if modules[place]["parent"] is not None:
            counts[modules[place]["parent"]] += counts[place]
    return counts


def _children(modules: list[dict[str, Any]]) -> dict[int | None, list[int]]:
    below: dict[int | None, list[int]] = {None: [], **{place: [] for place in range(len(modules))}}
    for place, module in enumerate(modules):
        below[module["parent"]].append(place)
    return below


def _ranked(places: list[int], modules: list[dict[str, Any]]) -> list[int]:
    return sorted(places, key=lambda place: -modules[place]["total_ms"])
