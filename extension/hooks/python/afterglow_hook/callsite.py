"""Who called: the frames of the user's code that led to a start of work. In: a frame. Out: plain tuples.

The walk happens whenever work is started, so it only copies code objects and line numbers; names are read
later, and only when the work became a finding. Frames of the standard library are skipped: nobody wants to
read that ``threading.py`` started a thread. Which of the rest is the user's own is the extension's decision; a
library lies beside the user's own files, so of each file the innermost frame is kept, however deep the library is.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType

    Site = tuple[tuple[CodeType, int], ...]
    Gapped = tuple[tuple[CodeType | None, int], ...]  # (None, n): n frames are left out

MOST_FILES = 32
_INNERMOST = 6  # frames of an error that are kept, whatever file they are in
_DEEPEST_WALK = 120
MOST_CHARACTERS = 8_000  # of a site on the wire, some of which go into one message
_LONGEST = 1024  # characters of a path or a name: a message holds 64 KB, and what all of an invocation left behind
_STDLIB = os.path.dirname(os.__file__)  # noqa: PTH120 - pathlib would cost 4 ms of the function's cold start
_STDLIB_PREFIXES = (_STDLIB + "/", "<frozen ")
_IMPORTLIB = "<frozen importlib"
_NOT_STDLIB = "/site-packages/"
_RUNTIME = ("/awslambdaric/", "/afterglow_hook/", "/var/runtime/")

_verdicts: dict[str, int] = {}
_SKIP, _KEEP, _STOP = 1, 2, 3


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
    """Return (code, line) of each file's innermost frame outside the standard library, the innermost first."""
    found: list[tuple[CodeType, int]] = []
    files = set()
    for _ in range(_DEEPEST_WALK):
        if frame is None:
            break
        filename = frame.f_code.co_filename
        verdict = _verdicts.get(filename) or _known_verdict(filename)
        if verdict == _KEEP:
            if filename not in files:
                files.add(filename)
                found.append((frame.f_code, frame.f_lineno))
                if len(found) == MOST_FILES:
                    break
        elif verdict == _STOP:
            break
        frame = frame.f_back
    return tuple(found)


def site_of_import(frame: FrameType | None) -> Site:
    """Return the same of what imports: from importlib's frame out to the import that encloses it, if one does."""
    found: list[tuple[CodeType, int]] = []
    files = set()
    while frame is not None and frame.f_code.co_filename.startswith(_IMPORTLIB):
        frame = frame.f_back
    for _ in range(_DEEPEST_WALK):
        if frame is None or len(found) == MOST_FILES:
            break
        filename = frame.f_code.co_filename
        verdict = _known_verdict(filename)
        if verdict == _STOP or filename.startswith(_IMPORTLIB):
            break
        if verdict == _KEEP and filename not in files:
            files.add(filename)
            found.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return tuple(found)


def site_of_error(error: BaseException) -> Gapped:
    """Return (code, line) of frames that an exception came through, the innermost first; (None, n): n are left out.

    Kept are the innermost ones, and each file's innermost and outermost one. Of a group, the exceptions in it come
    first: what one of them came through says more than where they were gathered. The walk is as long as the
    traceback; only functions that raise pay for it.
    """
    found: list[tuple[CodeType | None, int]] = []
    for leaf in _leaves(error, []):
        found += _thinned(_frames_of(leaf.__traceback__))
        if len(found) >= 2 * MOST_FILES:
            break
    return tuple(found)


def _leaves(error: BaseException, above: list[int]) -> list[BaseException]:
    """Return the exceptions of a group, then the group itself; of any other, itself."""
    parts = getattr(error, "exceptions", None)
    if not isinstance(parts, (tuple, list)) or id(error) in above or len(above) >= MOST_FILES:
        return [error]
    above.append(id(error))
    leaves = []
    for part in parts[:MOST_FILES]:
        if isinstance(part, BaseException):
            leaves += _leaves(part, above)
    return [*leaves, error]


def _frames_of(traceback: TracebackType | None) -> list[tuple[CodeType, int]]:
    """Return the frames outside the standard library, the innermost first."""
    found = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if _known_verdict(code.co_filename) == _KEEP:
            found.append((code, traceback.tb_lineno))
        traceback = traceback.tb_next
    found.reverse()
    return found


def _thinned(frames: list[tuple[CodeType, int]]) -> list[tuple[CodeType | None, int]]:
    innermost: dict[str, int] = {}
    outermost: dict[str, int] = {}
    for place, (code, _) in enumerate(frames):
        innermost.setdefault(code.co_filename, place)
        outermost[code.co_filename] = place
    most = [*innermost.values()][:MOST_FILES]
    places = sorted({*range(min(_INNERMOST, len(frames))), *most, *[*outermost.values()][-MOST_FILES:]})
    kept: list[tuple[CodeType | None, int]] = []
    for before, place in zip([-1, *places], places):  # noqa: B905 - the first list is longer by one
        if place - before > 1:
            kept.append((None, place - before - 1))
        kept.append(frames[place])
    return kept


def spelled(site: Gapped, most_characters: int = MOST_CHARACTERS) -> list[list[object]]:
    """Return the site as it goes on the wire: [[file, line, function], …]; ["", n, ""]: n frames are left out."""
    told = [
        ["", line, ""]
        if code is None
        else [code.co_filename[:_LONGEST], line, getattr(code, "co_qualname", code.co_name)[:_LONGEST]]
        for code, line in site
    ]
    sizes = [len(str(file)) + len(str(function)) for file, _, function in told]
    if sum(sizes) <= most_characters:
        return told
    inner = _how_many_fit(sizes, most_characters // 2)
    outer = _how_many_fit(sizes[:inner:-1], most_characters // 2)
    return [*told[:inner], ["", len(told) - inner - outer, ""], *told[len(told) - outer :]]


def _how_many_fit(sizes: list[int], room: int) -> int:
    for count, size in enumerate(sizes):
        room -= size
        if room < 0:
            return count
    return len(sizes)


def is_library(filename: str) -> bool:
    """Return whether ``filename`` is any of the standard library's."""
    return _known_verdict(filename) == _SKIP


def is_stdlib(filename: str, name: str) -> bool:
    """Return whether ``filename`` is the standard library's module file ``name`` (like ``queue.py``)."""
    return filename == f"{_STDLIB}/{name}"
