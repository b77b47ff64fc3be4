"""Draws bars on time axes.

In: bars, stretches and the columns there are. Out: lines of rich Text, none wider than those columns.
Colour adds nothing that a glyph does not say.
"""

from typing import NamedTuple

from rich.text import Text

from afterglow_collector.axis import Axis, Stretch, lay_out
from afterglow_collector.bars import Bar
from afterglow_collector.words import in_ms

LABEL_COLUMNS = 13
FIGURE_COLUMNS = 8
GUTTER = LABEL_COLUMNS + FIGURE_COLUMNS + 1


class Look(NamedTuple):
    """How something is drawn."""

    glyph: str
    style: str


FOLDS = {"frozen": Look("░", "cyan dim"), "idle": Look("·", "dim"), "skipped": Look("⋯", "dim")}
LOOKS = {
    "init": Look("▄", "blue"),
    "phase": Look("▂", "blue"),
    "handler": Look("█", "green"),
    "failed": Look("█", "red"),
    "caller": Look("▒", "green"),
    "shutdown": Look("▄", "magenta"),
    "work": Look("━", "yellow bold"),
    "work frozen": Look("╌", "yellow"),
}
ENDS = {
    "done": Look("●", "yellow bold"),
    "lost": Look("✗", "red bold"),
    "open": Look("▶", "yellow bold"),
    "cut": Look("╳", "red bold"),  # noqa: RUF001 - a cross, not a letter
}

LEGEND = {
    "init": "Init, with its phases",
    "handler": "handler",
    "caller": "as the caller saw it",
    "failed": "failed",
    "work": "work left behind",
    "work frozen": "the same, frozen",
}
END_LEGEND = {"done": "ended", "lost": "lost", "open": "not seen to end", "cut": "cut short"}
FAILED = ("error", "cut")


def draw(bars: list[Bar], stretches: list[Stretch], columns: int) -> list[Text]:
    """Return the whole chart: one axis below the other, each with the bars that reach into it."""
    if not stretches:
        return []
    start_ms = stretches[0].from_ms
    lines: list[Text] = []
    for axis in lay_out(stretches, columns - GUTTER):
        lines += [*([Text()] if lines else []), *_header(axis, start_ms)]
        lines += [line for bar in bars if (line := _row(bar, axis)) is not None]
    return lines


def legend(bars: list[Bar], stretches: list[Stretch], columns: int) -> list[Text]:
    """Return what the glyphs of this chart stand for, no entry broken across lines."""
    kinds = {_kind(bar) for bar in bars} | ({"work frozen"} if any(bar.kind == "work" for bar in bars) else set())
    entries = [(LOOKS[kind], words) for kind, words in LEGEND.items() if kind in kinds]
    entries += [(ENDS[end], words) for end, words in END_LEGEND.items() if end in {bar.end for bar in bars}]
    entries += [(look, fold) for fold, look in FOLDS.items() if fold in {s.fold for s in stretches}]
    lines = [Text()]
    for look, words in entries:
        if lines[-1] and len(lines[-1]) + len(words) + 2 > columns:
            lines.append(Text())
        lines[-1].append(look.glyph, look.style).append(f" {words}   ", "dim")
    for line in lines:
        line.rstrip()
    return lines


def _header(axis: Axis, start_ms: float) -> list[Text]:
    """Return the axis: since the start for each awake stretch that has room, and how long each fold is."""
    cells = [" "] * axis.columns
    for stretch, first, end in axis.placed:
        label = stretch.label if stretch.fold else _since(stretch.from_ms - start_ms)
        if len(label) + (0 if stretch.fold else 1) <= end - first:
            at = first + ((end - first - len(label)) // 2 if stretch.fold else 0)
            cells[at : at + len(label)] = label
    return [Text(" " * GUTTER + "".join(cells).rstrip(), "dim")]


def _since(ms: float) -> str:
    return in_ms(ms) if ms else "0"


def _row(bar: Bar, axis: Axis) -> Text | None:
    """Return one bar on one axis, or None if it does not reach into it."""
    columns = axis.span(bar.from_ms, bar.to_ms)
    if not columns:
        return None
    cells = [Look(" ", "")] * axis.columns
    folded: set[int] = set()
    for stretch, first, end in axis.placed:
        if stretch.fold:
            cells[first:end] = [FOLDS[stretch.fold]] * (end - first)
            folded |= set(range(first, end))
    for column in columns:
        if column not in folded or bar.kind == "work":
            cells[column] = _look(bar, frozen=column in folded)
    if bar.end in ENDS and bar.to_ms <= axis.placed[-1].stretch.to_ms:
        cells[columns[-1]] = ENDS[bar.end]
    return _text(bar, cells)


def _look(bar: Bar, *, frozen: bool) -> Look:
    if bar.kind == "work":
        return LOOKS["work frozen" if frozen else "work"]
    return LOOKS[_kind(bar)]


def _kind(bar: Bar) -> str:
    return "failed" if bar.end in FAILED else bar.kind


def _text(bar: Bar, cells: list[Look]) -> Text:
    label = bar.label[:LABEL_COLUMNS].ljust(LABEL_COLUMNS)
    text = Text(label, "bold" if bar.kind in ("init", "handler", "caller", "shutdown") else "")
    text.append(in_ms(bar.took_ms).rjust(FIGURE_COLUMNS) + " ", "" if bar.kind != "phase" else "dim")
    for look in cells:
        text.append(look.glyph, look.style)
    text.rstrip()
    return text
