"""What stands on the timeline: a bar for Init and its phases, each invocation, what it left behind, Shutdown.

In: the run document. Out: bars in Unix epoch milliseconds; ``chart`` draws them. Pure.
"""

from typing import Any, NamedTuple

from afterglow_collector.sites import by_site
from afterglow_collector.timeline import chosen, failed, span_of

SHORT = {"executor": "pool", "asyncio-task": "task"}


class Bar(NamedTuple):
    """One row. ``kind`` is init, phase, handler, caller, work or shutdown; ``end`` how work ended."""

    label: str
    took_ms: float | None
    from_ms: float
    to_ms: float
    kind: str
    end: str | None = None  # of work: done, lost, open; of a handler: its status


def bars_of(document: dict[str, Any]) -> list[Bar]:
    """Return the rows in order: Init with its phases, each invocation with what it left behind, Shutdown."""
    bars = init_bars(document["init"]) if document["init"] else []
    for invocation in [None, *chosen(document)]:
        if invocation:
            bars.append(handler_bar(invocation))
        number = invocation["invocation"] if invocation else None
        bars += [
            _work_bar(nth, finding, invocation, document)
            for nth, site in enumerate(by_site(document["findings"]), start=1)
            for finding in site
            if finding["invocation"] == number
        ]
    downs = [e["shutdown"] for e in document["environments"] if e["shutdown"]]
    return bars + [Bar("Shutdown", d["took_ms"], d["at_ms"], d["at_ms"] + d["took_ms"], "shutdown") for d in downs]


def init_bars(init: dict[str, Any]) -> list[Bar]:
    """Return Init and its phases. Only their lengths are measured; each is placed where it must have been."""
    begin = init["at_ms"]
    end = begin + (init["init_ms"] or 0.0)
    registered = begin + (init["extension_ms"] or 0.0)
    bars = [Bar("Init", init["init_ms"], begin, end, "init")]
    for label, field, first, last in (
        ("  extension", "extension_ms", begin, None),
        (
            "  runtime",
            "runtime_boot_ms",
            registered,
            None,
        ),  # it is started when all extensions have registered
        ("  import", "import_ms", None, end),
    ):
        took = init[field]
        if took is not None:
            start = first if first is not None else (last or begin) - took
            bars.append(Bar(label, took, start, start + took, "phase"))
    return bars


def handler_bar(invocation: dict[str, Any]) -> Bar:
    """Return the handler's own time, or the caller's where the hook did not measure it."""
    caller = invocation["caller"]
    how = (caller["outcome"] if caller else invocation["status"]) if failed(invocation) else ""
    label = f"#{invocation['invocation']} {how}".rstrip()
    took, at = invocation["duration_ms"], invocation["at_ms"]
    if took is not None:
        return Bar(label, took, at, at + took, "handler", "error" if failed(invocation) else None)
    begin, end = span_of(invocation)
    return Bar(label, end - begin, begin, end, "caller", "error" if failed(invocation) else None)


def _work_bar(nth: int, finding: dict[str, Any], starter: dict[str, Any] | None, document: dict[str, Any]) -> Bar:
    """Return the bar of work after the return: awake and frozen time together, as they lay on the clock."""
    if starter:
        begin = handler_bar(starter).to_ms
    else:
        begin = init_bars(document["init"])[0].to_ms if document["init"] else document["run"]["started_at_ms"]
    wall = finding["wall_ms"]
    end = finding["at_ms"] if wall is None else begin + wall + (finding["frozen_ms"] or 0.0)
    if finding["outcome"] == "lost":
        end = max(end, finding["at_ms"])
    how = "lost" if finding["outcome"] == "lost" else "done" if finding["ended"] else "open"
    name = SHORT.get(finding["what"], finding["what"])
    return Bar(f" [{nth}] {name}", wall, begin, end, "work", how)
