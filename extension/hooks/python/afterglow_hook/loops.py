"""Whether a thread runs in a loop that has no end of its own. In: frames. Out: yes or no.

A thread that sleeps once and then does something has that still to do. One that sleeps in a ``while`` at the bottom
of its stack looks, sleeps and looks again for as long as the environment lives: it has nothing to lose. A ``for`` is no
such loop, nor one whose condition compares, nor one that returns a value: those retry, or wait, and then go on.
"""

from __future__ import annotations

import sys

from afterglow_hook.callsite import is_library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType

    Span = tuple[int, int, int | None, bool]

OUTERMOST = 5
"""Frames at the bottom of a stack among which the loop is looked for; tracers put two or three of their own there."""
_DEEPEST_WALK = 100
_MOST_CODES = 1024

_spans: dict[CodeType, list[Span]] = {}


def runs_for_ever(frame: FrameType | None) -> bool:
    """Return whether one of the outermost frames that are not the standard library's stands in an endless loop."""
    outside = _outside(frame)[-OUTERMOST:]
    return any(in_endless_loop(each, is_target=each is outside[-1]) for each in outside)


def module_of(frame: FrameType | None) -> str:
    """Return the module whose function a thread runs, the standard library aside; "" where there is no other."""
    outside = _outside(frame)
    return str(outside[-1].f_globals.get("__name__")) if outside else ""


def _outside(frame: FrameType | None) -> list[FrameType]:
    found: list[FrameType] = []
    for _ in range(_DEEPEST_WALK):
        if frame is None:
            break
        if not is_library(frame.f_code.co_filename):
            found.append(frame)
        frame = frame.f_back
    return found


def in_endless_loop(frame: FrameType, *, is_target: bool = False) -> bool:
    """Return whether a function stands in a ``while`` that counts nothing and returns nothing.

    ``is_target``: it is what the thread runs: what that returns is of use to nobody.

    The compiler copies the condition: what is in front of the loop for its first round has the line of what closes it.
    """
    code, at = frame.f_code, frame.f_lasti
    spans = _spans.get(code)
    if spans is None:
        if len(_spans) >= _MOST_CODES:
            _spans.clear()
        spans = _spans[code] = endless_loops(code)
    return any(
        (begin <= at <= end or frame.f_lineno == line) and (is_target or not returns)
        for begin, end, line, returns in spans
    )


def endless_loops(code: CodeType) -> list[Span]:
    """Return each ``while`` whose condition compares nothing, as a Span.

    That is: its first and last offset, the line of what closes it, and whether a value is returned in it.
    """
    steps = instructions(code)
    names = {offset: name for offset, name, _ in steps}
    loops = []
    handles = False  # an exception: handlers lie behind the function, and jump back to where it goes on
    for offset, name, argument in steps:
        begin = None if handles else _jumps_back_to(offset, name, argument)
        handles = name in _HANDLERS or (handles and not name.startswith(_GONE))
        if begin is None or "FOR_ITER" in (names.get(begin), names.get(begin + 2)):
            continue
        line = _line_of(code, offset)
        if not _compares(code, steps, offset, line):
            loops.append((begin, offset, line, _returns_a_value(code, steps, begin, offset)))
    return loops


_COUNTED = ("LOAD_FAST", "LOAD_CONST", "LOAD_SMALL_INT")
_HANDLERS = ("PUSH_EXC_INFO", "CLEANUP_THROW")
_GONE = ("JUMP", "RETURN", "RAISE", "RERAISE")
"""Instructions after which nothing goes on."""


def _compares(code: CodeType, steps: list[tuple[int, str, int]], end: int, line: int | None) -> bool:
    """Return whether the condition that closes a loop compares what the function counts.

    ``while tries < 5`` has an end; ``while self.state != STOPPED`` has one only if somebody else wants it.
    """
    names = [("", ""), *((steps[n - 2][1], steps[n - 1][1]) for n in range(2, len(steps)))]
    return any(
        step[1] == "COMPARE_OP"
        and step[0] < end
        and all(name.startswith(_COUNTED) for name in before)
        and _line_of(code, step[0]) == line
        for step, before in zip(steps[1:], names, strict=False)
    )


def _line_of(code: CodeType, offset: int) -> int | None:
    return next((line for begin, end, line in code.co_lines() if begin <= offset < end), None)


def instructions(code: CodeType) -> list[tuple[int, str, int]]:
    """Return (offset, name, argument) of each instruction; ``dis`` does as much, and costs 5 ms to import."""
    import opcode  # noqa: PLC0415 - most functions never start a thread

    steps, extended = [], 0
    raw = code.co_code
    for offset in range(0, len(raw), 2):
        name, argument = opcode.opname[raw[offset]], raw[offset + 1] | extended
        extended = argument << 8 if name == "EXTENDED_ARG" else 0
        if not extended:
            steps.append((offset, name, argument))
    return steps


def _jumps_back_to(offset: int, name: str, argument: int) -> int | None:
    """Return where a jump to what lies before it leads; None for any other instruction."""
    if sys.version_info >= (3, 11):
        is_loop = "BACKWARD" in name and "NO_INTERRUPT" not in name  # the latter waits in an ``await``
        return offset + 2 - 2 * argument if is_loop else None
    target = 2 * argument
    return target if name.startswith(("JUMP_ABSOLUTE", "POP_JUMP_IF")) and target < offset else None


def _returns_a_value(code: CodeType, steps: list[tuple[int, str, int]], begin: int, end: int) -> bool:
    before = ("", 0)
    for offset, name, argument in steps:
        if begin <= offset <= end:
            if name == "RETURN_CONST" and code.co_consts[argument] is not None:
                return True
            if name == "RETURN_VALUE" and not (before[0] == "LOAD_CONST" and code.co_consts[before[1]] is None):
                return True
        before = (name, argument)
    return False
