"""How a process of the function comes to be held by the limits: it writes itself into the groups, then becomes itself.

In: a Fence's doors. Out: words to put before the runtime's command, and a script in front of each extension. A shell
does it (dash: 0.7 ms, and 0.1 ms for two groups), since RIE has nothing of the kind: decision 0018.
"""

import shlex
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ASIDE = Path(".extensions")
"""Where the extensions themselves lie, below /opt: as deep as their own folder, so that ``dirname $0``/.. is right."""

FIRST_TO_GO = 1000
"""oom_score_adj(5): of all in the group, the kernel ends a process of the function, as it is the function's memory."""


class Entry(NamedTuple):
    """What a process does before it becomes the runtime, or an extension."""

    doors: Sequence[str] = ()
    data_kb: int | None = None  # RLIMIT_DATA for each of the runtime's processes, where no group limits memory
    folder: str | None = None  # where it starts, where that is not where the emulator did


def lead_in(entry: Entry, command: list[str]) -> list[str]:
    """Return the runtime's command with the way in before it; the process and its pid stay the same."""
    if entry == Entry():
        return command
    held = entry.doors or entry.data_kb is not None
    steps = [f"echo {FIRST_TO_GO} >/proc/self/oom_score_adj", *_through(entry.doors)] if held else []
    if entry.folder is not None:
        steps.append(f"cd {shlex.quote(entry.folder)}")
    if entry.data_kb is not None:
        steps.append(f"ulimit -d {entry.data_kb}")
    return ["/bin/sh", "-c", "; ".join([*steps, 'exec "$@"']), "sh", *command]


def lead_extensions_in(doors: Sequence[str], opt: Path, shown_at: Path) -> None:
    """Put a script in front of every extension below ``opt``, which will be seen at ``shown_at``."""
    folder = opt / "extensions"
    if not doors or not folder.is_dir():
        return
    (opt / ASIDE).mkdir()
    for path in sorted(folder.iterdir()):
        if path.is_file():
            mode = stat.S_IMODE(path.stat().st_mode)  # Without its run bit it shall fail as it would have.
            path.rename(opt / ASIDE / path.name)
            runs = shlex.quote(str(shown_at / ASIDE / path.name))
            path.write_text("\n".join(["#!/bin/sh", *_through(doors), f'exec {runs} "$@"\n']))
            path.chmod(mode)


def _through(doors: Sequence[str]) -> list[str]:
    return [f"echo 0 >{shlex.quote(door)}" for door in doors]
