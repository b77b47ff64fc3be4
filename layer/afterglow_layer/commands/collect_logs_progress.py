"""How far a long reading is. In: how many steps there are, and each of them. Out: a bar on a terminal's stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY = 10  # on a pipe: a line per tenth of the way


@contextmanager
def counting(what: str, steps: int) -> Iterator[Callable[[str], None]]:
    """Give a function to be called after each step, with a word on where we are."""
    if not sys.stderr.isatty():
        yield _plain(what, steps)
        return
    from rich.console import Console  # noqa: PLC0415 - 60 ms that only a terminal needs
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[where]}", style="dim"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=steps, where="")
        yield lambda where: progress.update(task, advance=1, where=where)


def _plain(what: str, steps: int) -> Callable[[str], None]:
    done = 0

    def step(where: str) -> None:
        nonlocal done
        before, done = done * EVERY // steps, done + 1
        if done * EVERY // steps > before:
            print(f"{what}: {done} of {steps}, {where}", file=sys.stderr, flush=True)

    return step
