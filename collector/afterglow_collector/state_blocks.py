"""The findings in the report that are no lingering work: what crosses invocations, what explains one.

In: the run document's findings. Out: rich renderables, one block per call site or figure.
"""

from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from afterglow_collector.advice import REPAIRS
from afterglow_collector.sites import by_site, others_of
from afterglow_collector.sourced import quoted_lines, site_line
from afterglow_collector.words import headline, invocation, listed, printable


def state_blocks(document: dict[str, Any], source_root: Path | None) -> list[RenderableType]:
    """Return a block of lines for each."""
    return [line for findings in by_site(others_of(document)) for line in _block(findings, source_root)]


def _block(findings: list[dict[str, Any]], source_root: Path | None) -> list[RenderableType]:
    last = findings[-1]
    where = last["where"]
    lines: list[RenderableType] = [Text(), Text("! ", "yellow bold").append(headline(last), "bold")]
    if where["file"] is not None:
        lines.append(Padding(site_line(where["file"], where["line"], where["function"], source_root), (0, 0, 0, 4)))
        lines += quoted_lines(where["file"], where["line"], source_root)
    return [*lines, Padding(_facts(findings), (0, 0, 0, 4), expand=False)]


def _facts(findings: list[dict[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, width=11)
    table.add_column(overflow="fold")
    last = findings[-1]
    seen = dict.fromkeys(invocation(finding["invocation"], finding["request_id"]) for finding in findings)
    table.add_row("Seen at", Text(listed(list(seen))))
    table.add_row("Evidence", Text(printable(last["state"])))
    if last["what"] in REPAIRS:
        table.add_row("What to do", Text(REPAIRS[last["what"]], "bold"))
    return table
