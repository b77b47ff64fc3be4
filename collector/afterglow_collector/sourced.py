"""A call site as it stands in the report: its path, and the line itself between its neighbours.

In: file, line and function, and the folder that the function's code lies in. Out: rich Text.
"""

from pathlib import Path

from rich.text import Text

from afterglow_collector.quote import read_lines, shown_path
from afterglow_collector.words import printable


def site_line(file: str, line: int | None, function: str | None, source_root: Path | None) -> Text:
    """Return ``app.py:7 in handler()``."""
    site = Text(f"{printable(shown_path(file, source_root))}:{line}", "cyan")
    if function:
        site.append(f" in {printable(function)}{'' if function.startswith('<') else '()'}", "default")
    return site


def quoted_lines(file: str | None, line: int | None, source_root: Path | None) -> list[Text]:
    """Return the line with its neighbours, or nothing where the file cannot be read."""
    if file is None or line is None:
        return []
    lines = read_lines(file, line, source_root)
    digits = len(str(lines[-1].number)) if lines else 0
    quoted = []
    for each in lines:
        text = Text("    → " if each.is_site else "      ", "yellow bold", no_wrap=True, overflow="ellipsis")
        text.append(f"{each.number:>{digits}} │ ", "dim not bold")
        text.append(printable(each.text), "bold" if each.is_site else "dim not bold")
        quoted.append(text)
    return quoted
