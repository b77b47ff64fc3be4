"""The guard around every observer: it cannot raise; when it fails, the hook gives up. In: functions. Out: the same."""

from __future__ import annotations

from afterglow_hook import current, imports, origins, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def give_up(error: BaseException) -> None:
    """Switch the hook off for good, and say so once. Never raises, never waits: it stands in the user's own calls."""
    if not current.alive:
        return
    current.alive = False
    name = type(error).__name__
    steps: tuple[Callable[[], None], ...] = (lambda: _say(name, error), lambda: _tell(name), wire.close, imports.end)
    for step in steps:
        try:
            step()
        except Exception:  # noqa: S112 - at the edge of the function's own stack, say: each of the others may still do
            continue


def _say(name: str, error: BaseException) -> None:
    from afterglow_hook import aloud  # noqa: PLC0415 - most functions never hear from us

    aloud.say(f"hook switched off: {name}: {error}")


def _tell(name: str) -> None:
    wire.send({"t": "gave-up", "error": name})


def guarded(note: Callable[..., None]) -> Callable[..., None]:
    """Make an observer that can neither raise nor run once the hook has given up."""

    def observe(*args: Any) -> None:
        if current.alive:
            try:
                note(*args)
            except RecursionError:  # no room for us at the edge of the function's own stack: this start is not noted
                origins.overflowed += 1
            except Exception as error:
                give_up(error)

    return observe
