"""The memory of invocations that took a good deal more as they went: over time, against what is configured.

In: the run document and the columns there are. Out: rich renderables. An invocation that came to a bad end has its
curve in the block on that end.
"""

from typing import Any, NamedTuple

from rich.console import RenderableType
from rich.text import Text

from afterglow_collector.curve import Points, chart
from afterglow_collector.words import MB, counted, in_mb

GREW_SHARE = 0.1  # of the configured memory
GREW_LEAST_MB = 16.0  # what loading a module or two takes is no news
MOST_DRAWN = 3
MOST_COLUMNS = 100


class Growth(NamedTuple):
    """One invocation's memory: ``points`` are [ms before its last look, MB], oldest first."""

    invocation: int
    points: Points

    @property
    def grew_mb(self) -> float:
        """How far the highest look lies above the first."""
        return max(value for _, value in self.points) - self.points[0][1]


def memory_curves(document: dict[str, Any], columns: int) -> list[RenderableType]:
    """Return a curve for each of the invocations that grew most."""
    grown = growths_of(document)
    limit_mb = document["memory"]["configured_mb"]
    lines: list[RenderableType] = []
    for growth in sorted(sorted(grown, key=lambda each: -each.grew_mb)[:MOST_DRAWN], key=lambda each: each.invocation):
        first, highest = growth.points[0][1], max(value for _, value in growth.points)
        title = Text(f"#{growth.invocation}", "bold").append(
            f" grew by {in_mb(growth.grew_mb * MB)}, from {in_mb(first * MB)} to {in_mb(highest * MB)}", "not bold"
        )
        drawn = chart(growth.points, limit_mb, min(MOST_COLUMNS, columns), end="the last look")
        lines += [Text(" "), title, *(Text(line, "magenta", no_wrap=True) for line in drawn)]
    more = len(grown) - MOST_DRAWN
    return [*lines, Text(f"and {counted(more, 'more invocation')} grew", "dim")] if more > 0 else lines


def growths_of(document: dict[str, Any]) -> list[Growth]:
    """Return the invocations that came to their own end and had grown by then."""
    ended = {ending["invocation"] for ending in document["endings"]}
    least_mb = max(GREW_LEAST_MB, GREW_SHARE * document["memory"]["configured_mb"])
    found = []
    for call in document["invocations"]:
        looks = _looks(document["memory"]["samples"], call)
        if call["invocation"] not in ended and len(looks) > 1:
            end_ms = looks[-1][0]
            growth = Growth(call["invocation"], [[at_ms - end_ms, rss / MB] for at_ms, rss in looks])
            if growth.grew_mb >= least_mb:
                found.append(growth)
    return found


def _looks(samples: list[dict[str, Any]], call: dict[str, Any]) -> list[tuple[float, int]]:
    """Return when, and how many bytes, of the looks at one invocation."""
    return [
        (sample["at_ms"], sample["function_rss_bytes"])
        for sample in samples
        if sample["function_rss_bytes"] is not None
        and sample["request_index"] is not None
        and (sample["environment"], sample["request_index"]) == (call["environment"], call["index"])
    ]
