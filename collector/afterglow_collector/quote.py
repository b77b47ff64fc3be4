"""Source lines, to show a call site as the user knows it.

In: a path as the sandbox reported it, and the folder that the function's code lies in. Out: the lines around
the call site, or none where the file cannot be read; the report then shows the path alone.
"""

from pathlib import Path
from typing import NamedTuple

TASK_ROOT = Path("/var/task")  # where a function's code lies in a real environment
QUOTED_CHARACTERS = 200


class Line(NamedTuple):
    """One line of source."""

    number: int
    text: str
    is_site: bool  # the line that the finding points at


def local_path(file: str, source_root: Path | None) -> Path:
    """Return where the file should lie on this machine."""
    path = Path(file)
    if source_root is None or (path.is_absolute() and path.is_relative_to(source_root)):
        return path
    return source_root / (path.relative_to(TASK_ROOT) if path.is_relative_to(TASK_ROOT) else path)


def shown_path(file: str, source_root: Path | None) -> str:
    """Return the path as it is best known to its author: relative to the function's folder if it is in it."""
    for root in (source_root, TASK_ROOT):
        if root is not None and Path(file).is_relative_to(root):
            return str(Path(file).relative_to(root))
    return file


def parse_lines(source: str, site: int, around: int = 1) -> list[Line]:
    """Return the site and its neighbours; blank neighbours at the edges are left out."""
    lines = source.splitlines()
    if not 1 <= site <= len(lines):
        return []
    first, last = max(1, site - around), min(len(lines), site + around)
    quoted = [
        Line(n, lines[n - 1].rstrip().expandtabs(4)[:QUOTED_CHARACTERS], n == site) for n in range(first, last + 1)
    ]
    return [line for line in quoted if line.text or line.is_site]


def read_lines(file: str, site: int, source_root: Path | None) -> list[Line]:
    """Return the quoted lines, or nothing when the file is not there or is no text."""
    try:
        source = local_path(file, source_root).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return []  # A file in a layer, a zip, or gone since, no UTF-8, or no file's name: the path must do.
    return parse_lines(source, site)
