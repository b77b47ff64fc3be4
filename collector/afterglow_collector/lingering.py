"""The findings in the report: where, who, what it was doing, what became of it, what to do about it.

In: the run document's findings. Out: rich renderables, one block per call site.
"""

from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from afterglow_collector.advice import advise
from afterglow_collector.sites import by_site, lingering_of, worst
from afterglow_collector.sourced import quoted_lines, site_line
from afterglow_collector.words import headline, in_ms, invocation, listed, outcome, printable

OUTCOMES_SHOWN = 5  # per call site; the rest is counted
REQUEST_ID_SHOWN = 8  # characters, as in a short git hash


def lingering_blocks(document: dict[str, Any], source_root: Path | None) -> list[RenderableType]:
    """Return a block of lines for each call site that left work behind."""
    blocks: list[RenderableType] = []
    for nth, findings in enumerate(by_site(lingering_of(document)), start=1):
        blocks += [Text(), *_block(nth, findings, source_root)]
    return blocks


def _block(nth: int, findings: list[dict[str, Any]], source_root: Path | None) -> list[RenderableType]:
    first = findings[0]
    title = Text(f"[{nth}] ", "yellow bold").append(headline(first), "bold")
    if len(findings) > 1:
        title.append(f", {len(findings)} times")
    return [
        title,
        Padding(_site(first, source_root), (0, 0, 0, 4), expand=False),
        *quoted_lines(first["where"]["file"], first["where"]["line"], source_root),
        Padding(_facts(findings), (0, 0, 0, 4), expand=False),
    ]


def _site(finding: dict[str, Any], source_root: Path | None) -> Text:
    where = finding["where"]
    if where["file"] is None:
        return Text(f"{printable(finding['name'])}; no line of the function's own code started it")
    return site_line(where["file"], where["line"], where["function"], source_root)


def _facts(findings: list[dict[str, Any]]) -> Table:
    example = worst(findings)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, width=11)
    table.add_column(overflow="fold")
    table.add_row("Started by", _starters(findings))
    table.add_row("Was doing", Text(_doing(example)))
    for label, words in zip(["Then", *[""] * OUTCOMES_SHOWN], _outcomes(findings), strict=False):
        table.add_row(label, words)
    table.add_row("Took", Text(_took(findings)))
    for label, sentence in zip(["What to do", "", ""], advise(example), strict=False):
        table.add_row(label, Text(sentence, "bold" if label else ""))
    return table


def _starters(findings: list[dict[str, Any]]) -> str:
    """Return who started it: with the request's id if it was one, else by number."""
    if len(findings) == 1:
        number, request_id = findings[0]["invocation"], findings[0]["request_id"]
        words = invocation(number, request_id)
        return words if number is None else f"{words} (request {printable(request_id)[:REQUEST_ID_SHOWN]})"
    numbers = list(dict.fromkeys(f"#{f['invocation']}" if f["invocation"] else "Init" for f in findings))
    return f"invocation{'s' if len(numbers) > 1 else ''} {listed(numbers)}"


def _doing(finding: dict[str, Any]) -> str:
    return f"{printable(finding['name'])}: {printable(finding['state'])}"


def _outcomes(findings: list[dict[str, Any]]) -> list[Text]:
    if len(findings) == 1:
        return [_outcome(findings[0])]
    lines = []
    for finding in findings[:OUTCOMES_SHOWN]:
        number = finding["invocation"]
        lines.append(Text(f"#{number}: " if number else "Init: ").append_text(_outcome(finding)))
    if len(findings) > OUTCOMES_SHOWN:
        lines.append(Text(f"and {len(findings) - OUTCOMES_SHOWN} more"))
    return lines


def _outcome(finding: dict[str, Any]) -> Text:
    return Text(printable(outcome(finding)), "red" if finding["outcome"] == "lost" else "")


def _took(findings: list[dict[str, Any]]) -> str:
    return f"{_sum(findings, 'cpu_ms')} of CPU, {_sum(findings, 'wall_ms')} awake, after the return"


def _sum(findings: list[dict[str, Any]], field: str) -> str:
    """Return the sum over the findings; one unknown part makes it a lower bound, and all make it unknown."""
    known = [finding[field] for finding in findings if finding[field] is not None]
    if not known:
        return in_ms(None)
    return ("at least " if len(known) < len(findings) else "") + in_ms(sum(known))
