"""The tables of ``afterglow collect --from logs``. In: its document. Out: on a rich console.

Four tables: cold starts, duration, memory, cost; and one of lingering work where the layer is attached. A dash
stands for what the logs do not say.
"""

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from afterglow_collector.words import UNKNOWN, counted, in_ms, printable

Row = dict[str, Any]
Column = tuple[str, Callable[[Row], str]]


def _of(name: str, percentile: str) -> Callable[[Row], str]:
    return lambda row: in_ms(row[name][percentile]) if row[name] else UNKNOWN


def _share(row: Row) -> str:
    share = row["cold_start_share"]
    return UNKNOWN if share is None else f"{share:.1%}"


def _used(percentile: str) -> Callable[[Row], str]:
    return lambda row: f"{row['memory_mb']['used'][percentile]:.0f} MB" if row["memory_mb"]["used"] else UNKNOWN


def _configured(row: Row) -> str:
    return ", ".join(str(mb) for mb in row["memory_mb"]["configured"]) + " MB"


def _headroom(row: Row) -> str:
    """Return the share of the smallest configured memory that the hungriest invocation left over."""
    used, configured = row["memory_mb"]["used"], row["memory_mb"]["configured"]
    return f"{1 - used['max'] / configured[0]:.0%}" if used and configured and configured[0] else UNKNOWN


def _count(name: str) -> Callable[[Row], str]:
    return lambda row: f"{row[name]:,}"


def _layer(name: str) -> Callable[[Row], str]:
    return lambda row: f"{row['layer'][name]:,}"


def _dollars(name: str) -> Callable[[Row], str]:
    return lambda row: money(row["cost"][name])


def _arch(row: Row) -> str:
    return str(row["arch"] or f"{row['cost']['assumed_arch']}?")


TABLES: list[tuple[str, Callable[[Row], bool], list[Column]]] = [
    (
        "Cold starts",
        lambda row: bool(row["cold_starts"] or row["failed_inits"]),
        [
            ("cold starts", _count("cold_starts")),
            ("share", _share),
            ("failed inits", _count("failed_inits")),
            ("init p50", _of("init_ms", "p50")),
            ("p95", _of("init_ms", "p95")),
            ("max", _of("init_ms", "max")),
            ("restore p50", _of("restore_ms", "p50")),
        ],
    ),
    (
        "Duration",
        lambda row: bool(row["invocations"]),
        [
            ("invocations", _count("invocations")),
            ("errors", _count("errors")),
            ("timeouts", _count("timeouts")),
            ("p50", _of("duration_ms", "p50")),
            ("p95", _of("duration_ms", "p95")),
            ("p99", _of("duration_ms", "p99")),
            ("max", _of("duration_ms", "max")),
        ],
    ),
    (
        "Memory",
        lambda row: bool(row["invocations"]),
        [
            ("configured", _configured),
            ("used p50", _used("p50")),
            ("p95", _used("p95")),
            ("max", _used("max")),
            ("left over", _headroom),
        ],
    ),
    (
        "Cost",
        lambda row: bool(row["invocations"]),
        [
            ("architecture", _arch),
            ("GB-s", lambda row: f"{row['cost']['gb_seconds']:,.1f}"),
            ("duration", _dollars("duration")),
            ("requests", _dollars("requests")),
            ("total", _dollars("total")),
            ("a month", _dollars("per_month")),
        ],
    ),
    (
        "Work after the return",
        lambda row: bool(row["layer"]["records"]),
        [("lingering", _layer("lingering")), ("resumed", _layer("resumed")), ("lost", _layer("lost"))],
    ),
]


def render(document: dict[str, Any], console: Console) -> None:
    """Print the tables that have rows, and what they rest on."""
    rows = document["functions"]
    if not rows:
        console.print(f"No REPORT lines and no records in {counted(len(document['groups']), 'log group')}.")
    for title, wanted, columns in TABLES:
        chosen = [row for row in rows if wanted(row)]
        if chosen:
            _print(console, title, columns, chosen)
            console.print()
    for note in notes(document):
        console.print(Text(note, "dim"))


def _print(console: Console, title: str, columns: list[Column], rows: list[Row]) -> None:
    """Print a table in its whole width: a name that is broken in two can be neither read nor searched for."""
    table = _table(title, columns, rows)
    if _width(console, table) > console.width:  # first of all, the headings may take two lines
        table = _table(title, [(name.replace(" ", "\n"), cell) for name, cell in columns], rows)
    narrow = console.width
    console.width = max(narrow, _width(console, table))
    console.print(table)
    console.width = narrow


def _width(console: Console, table: Table) -> int:
    return table.__rich_measure__(console, console.options.update(max_width=10_000)).maximum


def _table(title: str, columns: list[Column], rows: list[Row]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    table.add_column("function", no_wrap=True, vertical="bottom")
    for name, _ in columns:
        table.add_column(name, justify="right", no_wrap=True, vertical="bottom")
    for row in rows:
        table.add_row(Text(printable(row["function"])), *(cell(row) for _, cell in columns))
    return table


def notes(document: dict[str, Any]) -> list[str]:
    """Return what one should know of the figures."""
    prices = document["prices"]
    lines = [
        f"{document['from']} to {document['to']}; percentiles are within 5 %.",
        f"{money(document['total_cost'])} in all, at prices of {prices['as_of']}, {prices['region']}.",
    ]
    if any(row["arch"] is None for row in document["functions"]):
        lines.append("? x86_64 is assumed here: allow lambda:ListFunctions, or attach the layer, to know.")
    broken = sum(sum(row["unread"].values()) for row in document["functions"])
    if broken:
        lines.append(f"{counted(broken, 'line')} could not be read.")
    repeated = sum(row["repeated_reports"] for row in document["functions"])
    if repeated:
        lines.append(f"{counted(repeated, 'REPORT line')} with an id that had one: retries, or printed by functions.")
    return lines


def money(dollars: float) -> str:
    """Return dollars with two figures that mean something: $12.30, $0.0042."""
    if dollars >= 0.1 or dollars == 0:
        return f"${dollars:,.2f}"
    return f"${dollars:.6f}".rstrip("0") if dollars >= 0.000001 else "<$0.000001"
