"""What stands on the timeline: a bar for Init and its phases, each invocation, what it left behind, Shutdown.

In: the run document. Out: bars in Unix epoch milliseconds; ``chart`` draws them. Pure.
"""

from typing import Any, NamedTuple

from afterglow_collector.sites import by_site, lingering_of
from afterglow_collector.timeline import CUT_SHORT, chosen, failed, how_it_ended, span_of
from afterglow_collector.timeline import SHORT as SHORT_ENDINGS

SHORT = {"executor": "pool", "asyncio-task": "task"}


class Bar(NamedTuple):
    """One row. ``kind`` is init, phase, handler, caller, work or shutdown; ``end`` how work ended."""

    label: str
    took_ms: float | None
    from_ms: float
    to_ms: float
    kind: str
    end: str | None = None  # of work: done, lost, open; of a handler: error, cut


def bars_of(document: dict[str, Any]) -> list[Bar]:
    """Return the rows in the order of time, and below each what it left behind."""
    numbered = [(nth, f) for nth, site in enumerate(by_site(lingering_of(document)), start=1) for f in site]
    rows: list[list[Bar]] = []
    for nth, environment in enumerate(document["environments"]):
        if environment["init"]:
            bars = init_bars(environment["init"])
            left = [_work_bar(n, f, bars[0].to_ms) for n, f in numbered if _by_init_of(environment, f)]
            rows.append([*(bars if nth == 0 else bars[:1]), *left])
        if environment["shutdown"]:
            at, took = environment["shutdown"]["at_ms"], environment["shutdown"]["took_ms"]
            rows.append([Bar("Shutdown", took, at, at + took, "shutdown")])
    for invocation in chosen(document):
        bar = handler_bar(invocation)
        left = [_work_bar(n, f, bar.to_ms) for n, f in numbered if f["invocation"] == invocation["invocation"]]
        rows.append([bar, *left])
    return [bar for row in sorted(rows, key=lambda row: row[0].from_ms) for bar in row]


def _by_init_of(environment: dict[str, Any], finding: dict[str, Any]) -> bool:
    return finding["request_id"] is None and finding["environment"] == environment["environment"]


def init_bars(init: dict[str, Any]) -> list[Bar]:
    """Return Init and its phases. Only their lengths are measured; each is placed where it must have been."""
    begin = init["at_ms"]
    end = begin + (init["init_ms"] or 0.0)
    registered = begin + (init["extension_ms"] or 0.0)
    starts = {
        "extension_ms": ("  extension", begin),
        "runtime_boot_ms": ("  runtime", registered),  # it is started when every extension has registered
        "import_ms": ("  import", end - (init["import_ms"] or 0.0)),
    }
    phases = [(label, init[field], at) for field, (label, at) in starts.items() if init[field] is not None]
    return [Bar("Init", init["init_ms"], begin, end, "init")] + [
        Bar(label, took, at, at + took, "phase") for label, took, at in phases
    ]


def handler_bar(invocation: dict[str, Any]) -> Bar:
    """Return the handler's own time, or the caller's where the hook did not measure it."""
    how = how_it_ended(invocation) if failed(invocation) else ""
    end = ("cut" if how in CUT_SHORT else "error") if how else None
    label = f"#{invocation['invocation']} {SHORT_ENDINGS.get(how, how)}".rstrip()
    took, at = invocation["duration_ms"], invocation["at_ms"]
    if took is not None:
        return Bar(label, took, at, at + took, "handler", end)
    begin, until = span_of(invocation)
    return Bar(label, until - begin, begin, until, "caller", end)


def _work_bar(nth: int, finding: dict[str, Any], begin: float) -> Bar:
    """Return the bar of work after the return: awake and frozen time together, as they lay on the clock."""
    wall = finding["wall_ms"]
    end = finding["at_ms"] if wall is None else begin + wall + (finding["frozen_ms"] or 0.0)
    if finding["outcome"] == "lost":
        end = max(end, finding["at_ms"])
    how = "lost" if finding["outcome"] == "lost" else "done" if finding["ended"] else "open"
    name = SHORT.get(finding["what"], finding["what"])
    return Bar(f" [{nth}] {name}", wall, begin, end, "work", how)
