"""The guard around every observer. In: a function that notes something. Out: one that cannot raise."""

from __future__ import annotations

from afterglow_hook import bootstrap, current

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def guarded(note: Callable[..., None]) -> Callable[..., None]:
    """Make an observer that can neither raise nor run once the hook has given up."""

    def observe(*args: Any) -> None:
        if current.alive:
            try:
                note(*args)
            except Exception as error:
                bootstrap.give_up(error)

    return observe
