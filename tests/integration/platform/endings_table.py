"""Which endings there are, and what Afterglow must say of each. Out: a table, and the lines that stacks must name."""

from pathlib import Path
from typing import NamedTuple

from tests.integration.platform.stages import HANDLERS

UNCOMMON = ("timeout", "out-of-memory", "crash", "init-error", "aborted")
"""Endings that get a record of their own; `ok` and `error` are told by the Invocation alone."""


class Case(NamedTuple):
    """A function of tests/handlers/endings.py, and the truth about its end."""

    do: str
    status: str
    where: tuple[str, ...] = ()  # marks in the handlers' source that the stacks must name
    detail: str | None = None  # what the Ending must mention
    source: str | None = None  # who must have said so; None: differs by platform
    slow: bool = False  # lasts long enough for its memory to have been looked at
    everywhere: bool = True  # False: one platform and flush setting show all there is to see


CASES = (
    Case("returns", "ok", source="hook"),
    Case("raises", "error", source="hook"),
    Case("times_out", "timeout", ("times_out",), source="platform", slow=True),
    Case("times_out_busy", "timeout", ("times_out_busy",), source="platform", slow=True, everywhere=False),
    Case("times_out_in_c", "timeout", ("times_out_in_c",), source="platform", slow=True, everywhere=False),
    Case(
        "times_out_with_threads",
        "timeout",
        ("times_out_with_threads", "second"),
        source="platform",
        slow=True,
        everywhere=False,
    ),
    Case(
        "fills_memory_and_times_out",
        "timeout",
        ("fills_memory_and_times_out",),
        source="platform",
        slow=True,
        everywhere=False,
    ),
    Case("fills_memory_and_is_killed", "out-of-memory", ("fills_memory_and_is_killed",), source="observed", slow=True),
    Case("segfaults", "crash", ("segfaults",), "Segmentation fault", "hook"),
    Case("aborts", "crash", ("aborts",), "Aborted", "hook"),
    Case("exits", "crash", source="platform"),
    Case("kills_itself", "crash", source="platform"),
    Case("system_exit", "crash", detail="SystemExit", source="hook"),
)

STATES = {"first": 0, "warm": 2}
"""What the environment has been through when the end comes → invocations before it."""


def line_of(mark: str) -> str:
    """Return `FILE:LINE` of the handlers' line that ends in `# ends: MARK`."""
    path = Path(HANDLERS, "endings.py")
    lines = path.read_text().splitlines()
    (number,) = (number for number, line in enumerate(lines, 1) if line.endswith(f"# ends: {mark}"))
    return f"{path}:{number}"
