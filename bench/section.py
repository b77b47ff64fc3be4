"""A section of the results: what was measured, and what the budget says to it. In: figures. Out: Markdown."""

from collections.abc import Sequence
from typing import NamedTuple

from bench.stats import Interval, bootstrap, summary


class Table(NamedTuple):
    """Cells as text; the first column names the row."""

    head: list[str]
    rows: list[list[str]]
    caption: str = ""


class Budget(NamedTuple):
    """What was promised, and what came of it, in one unit."""

    what: str
    limit: float
    unit: str
    measured: Interval
    spread: str = "95 % interval"  # what the interval is


class Section(NamedTuple):
    """One measurement's results."""

    method: str  # what was done, a paragraph
    budgets: list[Budget]
    tables: list[Table]
    notes: list[str]


def verdict(budget: Budget) -> str:
    """Return one sentence: met or missed, by how much, and how sure that is."""
    limit, found, unit = budget.limit, budget.measured, budget.unit
    met = found.median <= limit
    sure = (found.high <= limit) if met else (found.low > limit)
    gap = abs(limit - found.median)
    word = f"**met** with {gap:.3g} {unit} to spare" if met else f"**missed** by {gap:.3g} {unit}"
    spread = "" if found.low == found.high else f" ({budget.spread} {found.low:.3g} … {found.high:.3g})"
    doubt = "" if sure else "; the interval reaches across the budget"
    return f"{budget.what}: budget ≤ {limit:g} {unit}, measured {found.median:.3g} {unit}{spread}: {word}{doubt}."


def comparison(
    values: dict[str, list[float]], added: dict[str, list[float]], unit: str, caption: str = "", digits: int = 2
) -> Table:
    """Return a row per arm: its own ``values``, and the paired differences to the baseline in ``added``."""
    head = ["", "n", f"min {unit}", f"median {unit}", f"p90 {unit}", f"added {unit}", "95 % interval"]
    rows = []
    for name, found in values.items():
        if not found:
            continue
        of = summary(found)
        row = [name, str(of.n), *(f"{figure:.{digits}f}" for figure in (of.least, of.median, of.p90))]
        if added.get(name):
            more = bootstrap(added[name])
            row += [f"{more.median:+.{digits}f}", f"{more.low:+.{digits}f} … {more.high:+.{digits}f}"]
        else:
            row += ["", "baseline" if name not in added else ""]
        rows.append(row)
    return Table(head, rows, caption)


def plain(values: dict[str, list[float]], unit: str, caption: str = "", digits: int = 2) -> Table:
    """Return a row per name, where there is nothing to compare with."""
    table = comparison(values, {}, unit, caption, digits)
    return Table(table.head[:5], [row[:5] for row in table.rows], caption)


def markdown(name: str, title: str, section: Section, made_by: Sequence[str]) -> str:
    """Return the section as it stands in RESULTS.md, heading first, one newline at the end."""
    blocks = [[heading(name, title)], [section.method], [f"- {verdict(budget)}" for budget in section.budgets]]
    for table in section.tables:
        blocks += [[table.caption], _markdown_table(table)]
    blocks += [[f"- {note}" for note in section.notes], [f"<sub>{line}</sub>  " for line in made_by]]
    return "\n\n".join("\n".join(block) for block in blocks if any(block)).rstrip() + "\n"


def heading(name: str, title: str) -> str:
    """Return the line that a section begins with."""
    return f"## {name}: {title}"


def _markdown_table(table: Table) -> list[str]:
    align = ["---", *["---:"] * (len(table.head) - 1)]
    return [f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in [table.head, align, *table.rows]]


def replaced(text: str, name: str, section: str, order: Sequence[str]) -> str:
    """Return ``text`` (RESULTS.md) with the section ``name`` put in its place among ``order``; the rest as it is."""
    preamble, *parts = ("\n" + text).split("\n## ")
    sections = {part.partition(":")[0]: f"## {part.rstrip()}\n" for part in parts}
    sections[name] = section
    known = [sections.pop(key) for key in order if key in sections]
    return "\n".join(part for part in [preamble.strip() + "\n", *known, *sections.values()] if part.strip())
