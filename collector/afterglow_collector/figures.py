"""The figures in the report: one row per invocation, who owns the memory, what Afterglow took, what was lost.

In: the run document and the columns there are. Out: rich renderables.
"""

from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from afterglow_collector.timeline import SHORT, chosen, failed, how_it_ended
from afterglow_collector.words import MB, counted, in_bytes, in_mb, in_ms, listed

FIGURES_COLUMNS = 50  # what the invocation table takes without its bars
SHOWN_SOURCES = {"duration_ms": "duration", "cpu_user_ms": "CPU", "peak_rss_bytes": "peak memory"}


def invocation_figures(document: dict[str, Any], columns: int) -> list[RenderableType]:
    """Return the table of invocations: time as CPU and wait, memory against what is configured."""
    rows = chosen(document)
    width = max(6, min(26, (columns - FIGURES_COLUMNS) // 2))
    longest_ms = max((row["duration_ms"] or _seen_ms(row) or 0.0 for row in rows), default=0.0)
    limit = document["memory"]["configured_mb"] * MB
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", pad_edge=False)
    for name in ("", "", "", "duration", "CPU", "wait"):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    table.add_column("█ CPU ▒ wait" if width >= 12 else "█ CPU ▒", width=width, no_wrap=True)
    table.add_column("peak", justify="right", no_wrap=True)
    table.add_column(f"of {in_mb(limit)}", width=width, no_wrap=True)
    for row in rows:
        table.add_row(*_row(row, width, longest_ms, limit))
    return [table, *_past_limit(rows, limit), *_sources(rows)]


def _row(row: dict[str, Any], width: int, longest_ms: float, limit: int) -> list[RenderableType]:
    cpu = total_cpu_ms(row)
    duration = row["duration_ms"]
    bar = Text(bar_of(_shorter(cpu, duration), longest_ms, width), "green")
    bar.append("▒" * (len(bar_of(duration, longest_ms, width)) - len(bar)), "dim")
    peak = row["peak_rss_bytes"]
    return [
        Text(f"#{row['invocation']}", "bold"),
        Text({True: "cold", False: "warm", None: ""}[row["cold"]], "dim"),
        Text(_status(row), "red" if failed(row) else "green"),
        in_ms(duration) if duration is not None else f"({in_ms(_seen_ms(row))})",
        in_ms(cpu),
        in_ms(row["wait_ms"]),
        bar,
        in_mb(peak),
        Text(bar_of(peak, limit, width), "magenta"),
    ]


def bar_of(value: float | None, full: float, width: int) -> str:
    """Return a bar that fills ``width`` at ``full``; what is there but small still gets one block."""
    if value is None or full <= 0 or value <= 0:
        return ""
    return "█" * max(1, min(width, round(width * value / full)))


def total_cpu_ms(row: dict[str, Any]) -> float | None:
    """Return user and system CPU together, if both are known."""
    user, system = row["cpu_user_ms"], row["cpu_system_ms"]
    return None if user is None or system is None else user + system


def _shorter(cpu_ms: float | None, duration_ms: float | None) -> float | None:
    return cpu_ms if cpu_ms is None or duration_ms is None else min(cpu_ms, duration_ms)


def _status(row: dict[str, Any]) -> str:
    word = how_it_ended(row)
    return SHORT.get(word, word)


def _seen_ms(row: dict[str, Any]) -> float | None:
    return row["caller"]["took_ms"] if row["caller"] else None


def _past_limit(rows: list[dict[str, Any]], limit: int) -> list[RenderableType]:
    """Return what only a local run lets pass: more memory than is configured."""
    past = [f"#{row['invocation']}" for row in rows if (row["peak_rss_bytes"] or 0) > limit and not failed(row)]
    words = f"{listed(past)} took more memory than is configured: on AWS that gets a function killed."
    return [Text(words, "yellow bold")] if past else []


def _sources(rows: list[dict[str, Any]]) -> list[RenderableType]:
    """Return where the figures come from: the usual source, and the invocations that differ."""
    notes = []
    for field, name in SHOWN_SOURCES.items():
        by_source: dict[str, list[str]] = {}
        for row in rows:
            if field in row["sources"]:
                by_source.setdefault(row["sources"][field], []).append(f"#{row['invocation']}")
        ranked = sorted(by_source.items(), key=lambda item: -len(item[1]))
        parts = [s if nth == 0 else f"{s} in {', '.join(n)}" for nth, (s, n) in enumerate(ranked)]
        if parts:
            notes.append(f"{name}: {', but '.join(parts)}")
    if any(row["duration_ms"] is None and row["caller"] for row in rows):
        notes.append("in brackets: as the caller saw it")
    return [Text("Sources: " + "; ".join(notes), "dim")] if notes else []


def memory_figures(document: dict[str, Any], columns: int) -> list[RenderableType]:
    """Return who owns the memory at the last look, shared pages split fairly (PSS)."""
    footprints = document["memory"]["footprints"]
    if not footprints:
        return []
    # At SHUTDOWN the runtime is already dead: the last look that still saw the function counts.
    last = next((f for f in reversed(footprints) if f["function_pss_bytes"] is not None), footprints[-1])
    owners = {"function": "function_pss_bytes", "Afterglow": "agent_pss_bytes", "others": "others_pss_bytes"}
    limit = document["memory"]["configured_mb"] * MB
    table = Table.grid(padding=(0, 1, 0, 0))
    for name, field in owners.items():
        bar = Text(bar_of(last[field], limit, max(6, columns - 24)), "magenta")
        table.add_row(Text(name), Text(in_mb(last[field]), justify="right"), bar)
    note = f"PSS of {counted(last['processes'], 'process', 'processes')}, against {in_mb(limit)} configured"
    return [table, Text(note, "dim")]


def cost_figures(document: dict[str, Any]) -> list[RenderableType]:
    """Return what Afterglow itself took of this run, and that nothing was dropped if so."""
    cost, init = document["overhead"], document["init"]
    cpu, rss, printed = in_ms(cost["agent_cpu_ms"]), in_mb(cost["agent_rss_bytes"]), in_bytes(cost["bytes_out"])
    calls = counted(len(document["invocations"]), "invocation")
    lines = [f"Extension: {cpu} of CPU beside the function, {rss} resident, {printed} printed."]
    lines.append(f"Hook: {in_ms(cost['hook_ms'])} on the clock in {calls}, waits for the CPU included.")
    if init:
        lines.append(f"In Init: {in_ms(init['extension_ms'])} to register, {in_ms(init['hook_ms'])} for the hook.")
    if document["losses"] and not loss_figures(document):
        seen = sum(entry["seen"] for entry in document["losses"].values())
        lines.append(f"Nothing was dropped: {seen} records and facts seen, {seen} emitted.")
    return [Text(line) for line in lines]


CUT_SHORT = "metrics, findings and losses may be missing."


def loss_figures(document: dict[str, Any]) -> list[RenderableType]:
    """Return what was dropped and why, and what the ledger does not account for."""
    lines: list[RenderableType] = [
        Text(f"Environment {one['environment']} ended before Afterglow had told all of it: {CUT_SHORT}", "red")
        for one in document["environments"]
        if one["shutdown"] is None
    ]
    for of, entry in document["losses"].items():
        dropped = sum(entry["dropped"].values())
        reasons = ", ".join(f"{reason} {count}" for reason, count in entry["dropped"].items() if count)
        if dropped:
            lines.append(Text(f"{of}: {dropped} of {entry['seen']} dropped ({reasons})", "red"))
        if entry["seen"] != entry["emitted"] + dropped:
            missing = entry["seen"] - entry["emitted"] - dropped
            lines.append(Text(f"{of}: {missing} of {entry['seen']} not accounted for", "red"))
    return lines
