"""The report's section on Init, module by module: what took the time, which line brought it in, what was for nothing.

In: the run document, the columns there are, the folder that the function's code lies in. Out: rich renderables.
"""

from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from afterglow_collector.figures import bar_of
from afterglow_collector.module_tree import ROWS_SHOWN, Line, heavy_from_ms, lines_of, rows_of, total_ms_of
from afterglow_collector.quote import read_lines, shown_path
from afterglow_collector.words import MB, counted, in_bytes, in_mb, in_ms, listed, printable

CALM_MS = 100.0  # an Init that imports for less than this is nobody's trouble
FIGURES_COLUMNS = 20  # total, self and the gaps
LARGEST_BYTES = 250 * MB  # Lambda's limit for a function with its layers, unpacked
NEAR_LIMIT = 0.8
BIGGEST_SHOWN = 4
PART_SHARE = 0.02
NAMES_SHOWN = 4
BAR_LEGEND = "█ itself ▒ what it imports"


def module_blocks(document: dict[str, Any], columns: int, source_root: Path | None) -> list[RenderableType]:
    """Return the first environment's imports, and what lies on disk."""
    lines: list[RenderableType] = []
    entries = [entry for entry in document["imports"] if entry["environment"] in (1, None)]
    init = next((entry for entry in entries if entry["request_id"] is None and entry["modules"]), None)
    if init is not None:
        lines += _init(init, (document["init"] or {}).get("import_cpu_ms"), columns, source_root)
    rest = [line for entry in entries if entry is not init for line in _late(entry, source_root)]
    rest += [*_untouched(document, source_root), *_packages(document)]
    return [*lines, *([Text(" ")] if len(lines) > 1 and rest else []), *rest]


def _init(entry: dict[str, Any], cpu_ms: float | None, columns: int, source_root: Path | None) -> list[RenderableType]:
    total_ms, heavy = total_ms_of(entry), lines_of(entry)
    handler = printable(next(m["name"] for m in entry["modules"] if m["parent"] is None))
    others = entry["imported"] - 1
    what = f"{handler} and {counted(others, 'module')} that it imports" if others else f"{handler} alone"
    took = f"{what}: {in_ms(total_ms)}{f', of it {in_ms(cpu_ms)} CPU' if cpu_ms is not None else ''}."
    if total_ms < CALM_MS:
        return [Text(took)]
    if len(rows_of(entry)) < 2:
        return [Text(f"{took} No single module stands out.")]
    parts: list[RenderableType] = [Text(took), Text(" "), *_tree(entry, columns)]
    if heavy:
        parts += [Text(" "), Text("The lines that brought it in", "dim")]
        parts += [_line(line, total_ms, source_root) for line in heavy]
    return parts


def _tree(entry: dict[str, Any], columns: int) -> list[RenderableType]:
    rows = rows_of(entry)
    total_ms = total_ms_of(entry)
    widest = max(len(row.name) + 2 * row.depth for row in rows)
    name_columns = min(widest, columns // 2)
    width = max(6, columns - name_columns - FIGURES_COLUMNS)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("", no_wrap=True, overflow="ellipsis", width=name_columns)
    table.add_column("total", justify="right", no_wrap=True)
    table.add_column("self", justify="right", no_wrap=True)
    table.add_column(BAR_LEGEND if width >= len(BAR_LEGEND) else "", no_wrap=True, width=width)
    for row in rows:
        bar = Text("█" * round(width * row.self_ms / total_ms), "yellow")
        bar.append("▒" * (len(bar_of(row.total_ms, total_ms, width)) - len(bar)), "dim")
        name = Text("  " * row.depth + printable(row.name), "bold" if row.depth < 2 else "")
        table.add_row(name, in_ms(row.total_ms), in_ms(row.self_ms), bar)
    hidden = entry["imported"] - len(rows)
    limit_ms = heavy_from_ms(entry) if len(rows) < ROWS_SHOWN else min(row.total_ms for row in rows)
    return [table, *([Text(f"and {hidden} more, none above {in_ms(limit_ms)}", "dim")] if hidden > 0 else [])]


def _line(line: Line, total_ms: float, source_root: Path | None) -> Text:
    share = f"{100 * line.total_ms / total_ms:.0f} %"
    text = Text("  ", no_wrap=True, overflow="ellipsis")
    text.append(_place(line.file, line.number, source_root), "cyan")
    text.append(f"  {in_ms(line.total_ms)}, {share}, {counted(line.modules, 'module')}")
    quoted = next((q.text.strip() for q in read_lines(line.file, line.number, source_root) if q.is_site), "")
    return text.append(f"  {printable(quoted)}", "bold") if quoted else text


def _place(file: str | None, line: int | None, source_root: Path | None) -> str:
    return f"{printable(shown_path(file, source_root))}:{line}" if file else "a line that is not known"


def _late(entry: dict[str, Any], source_root: Path | None) -> list[RenderableType]:
    """Return what an invocation had to wait for, if it is worth a line."""
    total_ms = total_ms_of(entry)
    if total_ms < heavy_from_ms(entry):
        return []
    tops = sorted((m for m in entry["modules"] if m["parent"] is None), key=lambda m: -m["total_ms"])
    who = f"#{entry['invocation']}" if entry["invocation"] else "An invocation"
    names = listed([printable(m["name"]) for m in tops], NAMES_SHOWN)
    where = _place(tops[0]["file"], tops[0]["line"], source_root)
    many = counted(entry["imported"], "module")
    return [Text(f"{who} imported {many} late, in {in_ms(total_ms)}: {names} ({where}).")]


def _untouched(document: dict[str, Any], source_root: Path | None) -> list[RenderableType]:
    entry = next((u for u in document["untouched"] if u["environment"] in (1, None)), None)
    if entry is None:
        return []
    if entry["unknown"] is not None:
        return [Text(f"Which of them no invocation needed is not known: {entry['unknown']}.", "dim")]
    times = counted(entry["invocations"], "invocation")
    lines: list[RenderableType] = []
    if entry["modules"]:
        lines.append(Text(f"Nothing of these ran in {times}. Import them where they are needed:", "bold"))
        for module in entry["modules"][:NAMES_SHOWN]:
            place = _place(module["file"], module["line"], source_root)
            lines.append(Text(f"  {printable(module['name'])}: {in_ms(module['saved_ms'])} of Init, {place}"))
        lines.append(Text("  Check that Init itself does not use them: that leaves no trace here.", "dim"))
    if entry["unjudged"]:
        names = listed([printable(name) for name in entry["unjudged"]], NAMES_SHOWN)
        lines.append(Text(f"Not judged, as calls of its parts in C leave no trace: {names}.", "dim"))
    return lines


def _packages(document: dict[str, Any]) -> list[RenderableType]:
    """Return a line for the function's package and one for the layers: size, files, what is biggest."""
    entries = [p for p in document["packages"] if p["environment"] in (1, None)]
    lines: list[RenderableType] = [_package(entry) for entry in entries]
    total = sum(entry["size_bytes"] for entry in entries)
    if total > NEAR_LIMIT * LARGEST_BYTES:
        lines.append(Text(f"Together {in_mb(total)}: Lambda takes {in_mb(LARGEST_BYTES)} unpacked.", "red"))
    return lines


def _package(entry: dict[str, Any]) -> Text:
    size = entry["size_bytes"]
    words = f"{entry['what'].capitalize()} on disk: {_in_size(size)} in {counted(entry['files'], 'file')}"
    parts = [p for p in entry["biggest"][:BIGGEST_SHOWN] if p["size_bytes"] >= max(MB, PART_SHARE * size)]
    if parts:
        words += ": " + listed([f"{printable(p['name'])} {in_mb(p['size_bytes'])}" for p in parts], BIGGEST_SHOWN)
    if entry["stopped"]:
        words += f". Not counted to the end: {entry['stopped']}"
    return Text(f"{words}.")


def _in_size(size_bytes: int) -> str:
    return in_bytes(size_bytes) if size_bytes < MB else in_mb(size_bytes)
