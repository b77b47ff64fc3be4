"""Stacks as a person reads them: the function's own call sites, and of a library only where it was entered last.

In: stacks of a record, innermost frame first, each frame ``FILE:LINE in FUNCTION``, and which of them are the
function's own; of an older record, paths alone tell. Out: frames. Pure.
"""

import re
from typing import Any, NamedTuple

MOST_FRAMES = 6
_LIBRARIES = ("/lib/python3.", "/site-packages/", "/dist-packages/", "/opt/python/", "/var/runtime/", "/var/lang/", "<")
_STDLIB = re.compile(r"^.*/lib/python3\.\d+/")


class Frame(NamedTuple):
    """One line of a stack; ``times`` it stands there in a row, as in a recursion."""

    file: str
    line: int
    function: str
    times: int = 1
    is_own: bool = False  # the function's own code

    @property
    def place(self) -> str:
        """The file as it is best known: of a library, without the folders that it is installed in."""
        for folder in ("/site-packages/", "/dist-packages/"):
            if folder in self.file:
                return self.file.rpartition(folder)[2]
        return _STDLIB.sub("", self.file)


def parse_frame(text: str) -> Frame | None:
    """Return the frame of ``/var/task/app.py:7 in handler``; None for what does not look like one."""
    site, between, function = text.partition(" in ")
    file, colon, line = site.rpartition(":")
    if not (between and colon and line.isdecimal()):
        return None
    return Frame(file, int(line), function, is_own=not any(part in file for part in _LIBRARIES))


def parse_stacks(ending: dict[str, Any]) -> list[list[Frame]]:
    """Return the stacks of an ending."""
    own = ending.get("own")
    if own is None:
        return [parse_stack(stack) for stack in ending["stacks"]]
    return [parse_stack(stack, own[nth] if nth < len(own) else []) for nth, stack in enumerate(ending["stacks"])]


def parse_stack(stack: list[str], own: list[int] | None = None) -> list[Frame]:
    """Return the frames of one stack, those that repeat folded into one."""
    frames: list[Frame] = []
    for place, parsed in enumerate(map(parse_frame, stack)):
        if parsed is None:  # what stands for frames that are left out
            continue
        frame = parsed if own is None else parsed._replace(is_own=place in own)
        if frames and frames[-1][:3] == frame[:3]:
            frames[-1] = frames[-1]._replace(times=frames[-1].times + 1)
        else:
            frames.append(frame)
    return frames


def is_thread(frames: list[Frame]) -> bool:
    """Return whether the stack is that of a started thread, not the one that the handler runs in."""
    return bool(frames) and frames[-1].function == "run" and frames[-1].file.endswith("/threading.py")


def trimmed(frames: list[Frame]) -> list[Frame]:
    """Return the innermost frame and the function's own ones: a library's inner workings say little.

    Of many, those in the middle are left out.
    """
    kept = [frame for nth, frame in enumerate(frames) if nth == 0 or frame.is_own]
    return kept if len(kept) <= MOST_FRAMES else [*kept[: MOST_FRAMES - 1], kept[-1]]


def own_site(frames: list[Frame]) -> Frame | None:
    """Return the innermost frame of the function's own code, else the innermost one."""
    return next((frame for frame in frames if frame.is_own), frames[0] if frames else None)
