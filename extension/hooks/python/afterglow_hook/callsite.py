"""Who called: the frames of the user's code that led to a start of work. In: a frame. Out: plain tuples.

The walk happens whenever work is started, so it only copies code objects and line numbers; names are read
later, and only when the work became a finding. Frames of the standard library are skipped: nobody wants to
read that ``threading.py`` started a thread. Which of the rest is the user's own is the extension's decision.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType

    Site = tuple[tuple[CodeType, int], ...]

KEPT_FRAMES = 8
_DEEPEST_WALK = 60
_LONGEST = 1024  # characters of a path or a name: a message holds 64 KB, and what all of an invocation left behind
_STDLIB = os.path.dirname(os.__file__)  # noqa: PTH120 - pathlib would cost 4 ms of the function's cold start
_STDLIB_PREFIXES = (_STDLIB + "/", "<frozen ")
_IMPORTLIB = "<frozen importlib"
_NOT_STDLIB = "/site-packages/"
_RUNTIME = ("/awslambdaric/", "/afterglow_hook/", "/var/runtime/")

_verdicts: dict[str, int] = {}
_SKIP, _KEEP, _STOP = 0, 1, 2


def _verdict(filename: str) -> int:
    if any(part in filename for part in _RUNTIME):
        return _STOP
    if filename.startswith(_STDLIB_PREFIXES) and _NOT_STDLIB not in filename:
        return _SKIP
    return _KEEP


def _known_verdict(filename: str) -> int:
    verdict = _verdicts.get(filename)
    if verdict is None:
        if len(_verdicts) > 4096:  # a program that makes up file names must not make us grow
            _verdicts.clear()
        verdict = _verdicts[filename] = _verdict(filename)
    return verdict


def site_of(frame: FrameType | None) -> Site:
    """Return (code, line) of up to KEPT_FRAMES frames outside the standard library, the innermost first."""
    found: list[tuple[CodeType, int]] = []
    for _ in range(_DEEPEST_WALK):
        if frame is None:
            break
        verdict = _known_verdict(frame.f_code.co_filename)
        if verdict == _STOP:
            break
        if verdict == _KEEP:
            found.append((frame.f_code, frame.f_lineno))
            if len(found) == KEPT_FRAMES:
                break
        frame = frame.f_back
    return tuple(found)


def site_of_import(frame: FrameType | None) -> Site:
    """Return (code, line) of what imports: from importlib's frame out to the import that encloses it, if one does."""
    found: list[tuple[CodeType, int]] = []
    while frame is not None and frame.f_code.co_filename.startswith(_IMPORTLIB):
        frame = frame.f_back
    for _ in range(_DEEPEST_WALK):
        if frame is None or len(found) == KEPT_FRAMES:
            break
        filename = frame.f_code.co_filename
        verdict = _known_verdict(filename)
        if verdict == _STOP or filename.startswith(_IMPORTLIB):
            break
        if verdict == _KEEP:
            found.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return tuple(found)


def site_of_error(traceback: TracebackType | None) -> Site:
    """Return (code, line) of up to KEPT_FRAMES frames that an exception came through, the innermost first.

    The walk is as long as the traceback; only functions that raise pay for it.
    """
    found: list[tuple[CodeType, int]] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if _known_verdict(code.co_filename) == _KEEP:
            found.append((code, traceback.tb_lineno))
            if len(found) > KEPT_FRAMES:
                del found[0]
        traceback = traceback.tb_next
    return tuple(reversed(found))


def spelled(site: Site) -> list[list[object]]:
    """Return the site as it goes on the wire: [[file, line, function], …]."""
    return [
        [code.co_filename[:_LONGEST], line, getattr(code, "co_qualname", code.co_name)[:_LONGEST]]
        for code, line in site
    ]


def is_library(filename: str) -> bool:
    """Return whether ``filename`` is any of the standard library's."""
    return _known_verdict(filename) == _SKIP


def is_stdlib(filename: str, name: str) -> bool:
    """Return whether ``filename`` is the standard library's module file ``name`` (like ``queue.py``)."""
    return filename == f"{_STDLIB}/{name}"
