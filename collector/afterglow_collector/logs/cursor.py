"""The cursor file of ``afterglow collect --from logs``: what has been read, and what it came to.

In: a path. Out: where the pull began, and per log group how far it is, with the figures until there. A pull that
was interrupted goes on with the slice that it was in, and adds no slice twice: a slice's figures are kept only
once it is complete.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from afterglow_collector.logs.statistics import Statistics
from afterglow_collector.logs.statistics_state import from_state, to_state
from afterglow_collector.sinks.cursor import write_durably

CURSOR_VERSION = 1


class Progress(NamedTuple):
    """One log group: what lies between the cursor's ``from_ms`` and ``done_to_ms`` is in ``functions``."""

    done_to_ms: int
    functions: dict[str, Statistics]


class Cursor(NamedTuple):
    """A pull that may be gone on with."""

    from_ms: int
    groups: dict[str, Progress]


class PullCursorError(ValueError):
    """A file that is no cursor of this version: says what is wrong with it."""


def read_cursor(path: Path) -> Cursor | None:
    """Return what the file holds, None if there is no file; PullCursorError if it holds something else."""
    try:
        return _cursor(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise PullCursorError(f"{path} is no cursor file: {error!r}") from None


def write_cursor(path: Path, cursor: Cursor) -> None:
    """Replace the file, durably."""
    groups = {
        group: {"done_to_ms": progress.done_to_ms, "functions": to_state(progress.functions)}
        for group, progress in cursor.groups.items()
    }
    document = {"v": CURSOR_VERSION, "from_ms": cursor.from_ms, "groups": groups}
    write_durably(path, json.dumps(document, separators=(",", ":")) + "\n")


def _cursor(document: dict[str, Any]) -> Cursor:
    if document["v"] != CURSOR_VERSION:
        raise ValueError(f'"v": {document["v"]!r} is not {CURSOR_VERSION}')
    from_ms = _time(document["from_ms"])
    groups = {
        group: Progress(max(from_ms, _time(fields["done_to_ms"])), from_state(fields["functions"]))
        for group, fields in document["groups"].items()
    }
    return Cursor(from_ms, groups)


def _time(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no time in milliseconds")
    return value
