"""Which of the frames that led somewhere are the function's own. In: frames, an answer per file. Out: call sites.

The function's own is a Python file in its folder that no distribution has installed. A template is none, though its
line is in the trace: a person looks for the line of Python that has it rendered. Where no frame is that, a Python file
elsewhere counts that lies in no folder of installations: code that was unpacked into /tmp, say.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from afterglow.facts import cut

MOST_FRAMES = 20
_INNERMOST = 8  # of those: what explains where it was


class CallSite(NamedTuple):
    """Where the user's code started something."""

    file: str
    line: int
    function: str


IsOwn = Callable[[str], bool]
Frame = tuple[str, int, str]


def parsed(frames: Sequence[Sequence[object]]) -> list[CallSite]:
    """Return the hook's frames; one without a file stands for as many as its line says, which are left out."""
    return [CallSite(str(file), int(str(line)), str(function)) for file, line, function in frames]


def choose(frames: Sequence[Sequence[object]], is_own: IsOwn, is_near: IsOwn) -> CallSite | None:
    """Return the innermost frame of the user's own code, else the innermost one; None where there is none."""
    sites = [site for site in parsed(frames) if site.file]
    places = own_places(sites, is_own, is_near)
    return sites[places[0] if places else 0] if sites else None


def own_places(frames: Sequence[Frame], is_own: IsOwn, is_near: IsOwn) -> list[int]:
    """Return the places of the frames that are the function's own, the innermost first."""
    for test in (is_own, is_near):
        places = [place for place, (file, _, _) in enumerate(frames) if test(file)]
        if places:
            return places
    return []


def thinned(frames: Sequence[Frame], own: Sequence[int], most: int = MOST_FRAMES) -> list[Frame]:
    """Return at most so many frames: the own ones at both ends, the innermost ones, then what else there is room for.

    A frame without a file stands for those that are left out between its neighbours.
    """
    wanted = [*own[:1], *own[-1:], *range(min(_INNERMOST, len(frames))), *own, *range(len(frames))]
    places = sorted([*dict.fromkeys(wanted)][:most])
    kept: list[Frame] = []
    for place, before in zip(places, [-1, *places], strict=False):
        if place - before > 1:
            kept.append(("", place - before - 1, ""))
        kept.append(frames[place])
    return kept


def spelled(frame: Frame) -> str:
    """Return the frame as a person reads it."""
    file, line, function = frame
    return f"{cut(file)}:{line} in {cut(function)}" if file else f"… {line} more"


class Stack(NamedTuple):
    """One stack as a record tells it."""

    frames: list[str]
    own: list[int]  # the places of the function's own frames


def stack_of(frames: Sequence[Frame], is_own: IsOwn, is_near: IsOwn) -> Stack:
    """Return the stack with what is worth telling of it."""
    kept = thinned(frames, own_places(frames, is_own, is_near))
    return Stack([spelled(frame) for frame in kept], own_places(kept, is_own, is_near))
