"""What the hook says, checked. In: one message. Out: the fact as a dictionary whose fields are what they claim.

The hook is ours, but the socket is open to every process in the environment, so nothing is taken on trust:
a fact that gets through here can be calculated with, and can be written out as JSON that a collector takes.
"""

import json
from typing import Any

HOOK_VERSION = 1
_decode = json.JSONDecoder().decode  # what loads comes to, once it has looked for other encodings
_MOST = 1 << 63  # nanoseconds, ids, counts: what does not fit 63 bits is no measurement
MOST_TEXT = 480
"""Characters of a name or a path. The collector takes 1,024, and "FILE:LINE in FUNCTION" holds two of them."""
_HEAD = MOST_TEXT // 2
_MOST_ROOT = 4096  # PATH_MAX: other paths are compared with it
_DEEPEST = 5  # lists and objects within one another, in what we know of


def _whole(value: object) -> bool:
    return type(value) is int and -_MOST < value < _MOST


def _whole_or_none(value: object) -> bool:
    return value is None or _whole(value)


def _number(value: object) -> bool:
    return _whole(value) or (type(value) is float and -_MOST < value < _MOST)  # neither NaN nor infinite


def _text(value: object) -> bool:
    return type(value) is str


def _text_or_none(value: object) -> bool:
    return value is None or type(value) is str


def _what(value: object) -> bool:
    return value in ("thread", "timer", "executor", "asyncio-task", "process", "alarm")


def _site(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(frame, list) and len(frame) == 3 and _text(frame[0]) and _whole(frame[1]) and _text(frame[2])
        for frame in value
    )


def _updates(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(update, list) and len(update) == 3 and _whole(update[0]) and _whole_or_none(update[1])
        for update in value
    )


def _cancelled_works(value: object) -> bool:
    return isinstance(value, list) and all(
        _wrong_field(work, _WORK) is None and _text(work.get("reason", "")) for work in value
    )


def _new_works(value: object) -> bool:
    return isinstance(value, list) and all(_wrong_field(work, _NEW_WORK) is None for work in value)


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and _whole(value[0]) and _whole(value[1])


def _import_nodes(value: object) -> bool:
    """Take [module, parent, total, self, others, number of others, flags, [[file, line], …]]; times in ns."""
    return isinstance(value, list) and all(
        isinstance(node, list)
        and len(node) == 8
        and _text(node[0])
        and all(map(_whole, node[1:7]))
        and isinstance(node[7], list)
        and all(map(_pair, node[7]))
        for node in value
    )


_WORK = {"name": _text, "site": _site, "id": _text_or_none, "n": _whole_or_none, "state": _text, "at": _whole}
_NEW_WORK = {
    **_WORK,
    "w": _whole,
    "what": _what,
    "jobs": _whole,
    "pid": _whole_or_none,
    "worker": _text_or_none,
    "burned": _whole_or_none,
}

FIELDS: dict[str, dict[str, Any]] = {
    "hello": {
        "v": _whole,
        "python": _text_or_none,
        "at": _whole,
        "took": _whole,
        "cpu": _whole,
        "root": _text_or_none,
    },
    "init": {"from": _whole, "at": _whole, "cpu": _whole, "error": _text_or_none},
    "entered": {"id": _text, "n": _whole, "at": _whole, "works": _updates},
    "found": {"new": _new_works, "lost": _cancelled_works},
    "returned": {
        "id": _text,
        "n": _whole,
        "from": _whole,
        "at": _whole,
        "error": _text_or_none,
        "user": _number,
        "system": _number,
        "own": _whole,
        "unlooked": _whole,
        "rss": _whole_or_none,
        "peak": _whole_or_none,
        "threads": _whole_or_none,
        "fds": _whole_or_none,
        "works": _updates,
    },
    "ended": {"w": _whole, "at": _whole, "cpu": _whole_or_none},
    "imports": {
        "id": _text_or_none,
        "count": _whole,
        "loose": _pair,
        "untouched": _text,
        "watched": _whole,
        "part": _whole,
        "parts": _whole,
        "files": _texts,
        "nodes": _import_nodes,
        "own": _whole,
    },
    "pile": {
        "what": lambda value: value == "threads-left",
        "name": _text,
        "site": _site,
        "id": _text_or_none,
        "n": _whole_or_none,
        "count": _whole,
        "of": _whole,
    },
    "touched": {"n": _whole, "last": _whole, "names": _texts, "own": _whole},
    "exit": {"call": _text, "at": _whole, "site": _site},
    "gave-up": {"error": _text},
    "unseen": {"what": _what, "why": _text},
}

_RAISED = {"origin": _site, "message": _text}
OPTIONAL: dict[str, dict[str, Any]] = {
    "init": _RAISED,
    "returned": {**_RAISED, "cause": _text, "reaped": _whole},
    "ended": {"since": _whole},
}
"""What stands in a fact only where there is something to say."""


class FactError(ValueError):
    """A message that is no fact of ours: says which field is wrong."""


def parse_fact(message: bytes) -> dict[str, Any]:
    """Return the fact, with its kind under "t"; FactError for anything else that a process could send."""
    try:
        fact = _decode(message.decode())
    except (ValueError, RecursionError) as error:
        raise FactError(f"not JSON: {error}") from None
    kind = fact.get("t") if isinstance(fact, dict) else None
    if not isinstance(fact, dict) or not isinstance(kind, str) or kind not in FIELDS:
        raise FactError(f"no kind of fact: {str(fact)[:60]}")
    wrong = _wrong_field(fact, FIELDS[kind]) or _wrong_addition(fact, OPTIONAL.get(kind, {}))
    if wrong is not None:
        raise FactError(f"{kind}, field {wrong}: {str(fact.get(wrong))[:60]}")
    if kind == "hello" and fact["v"] != HOOK_VERSION:
        raise FactError(f"a hook of version {fact['v']}, not {HOOK_VERSION}")
    # Most facts are too short to hold anything that is too long; only an escape can hold half a character.
    return _tidied(kind, fact) if len(message) > MOST_TEXT or b"\\u" in message else fact


def cut(text: str) -> str:
    """Return the text if it is short enough; else its beginning and its end, which tell most of a path."""
    return text if len(text) <= MOST_TEXT else f"{text[: _HEAD - 1]}…{text[-_HEAD:]}"


def _tidied(kind: str, fact: dict[str, Any]) -> dict[str, Any]:
    """Return what we know of the fact, with texts that are cut, and whole characters in them."""
    known = {name: _tidy(fact[name]) for name in (*FIELDS[kind], *OPTIONAL.get(kind, ()), "dropped") if name in fact}
    if isinstance(fact.get("root"), str):
        known["root"] = _whole_text(fact["root"])[:_MOST_ROOT]
    return {"t": kind, **known}


def _tidy(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return cut(_whole_text(value))
    if isinstance(value, list):
        return [_tidy(one, depth + 1) for one in value] if depth < _DEEPEST else []
    if isinstance(value, dict):
        return {name: _tidy(one, depth + 1) for name, one in value.items()} if depth < _DEEPEST else {}
    return value


def _whole_text(text: str) -> str:
    """Return the text with "?" for each half of a character (a lone surrogate): of file names that are no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _wrong_field(fact: object, fields: dict[str, Any]) -> str | None:
    if not isinstance(fact, dict):
        return "of what is no object"
    for name, fits in fields.items():  # a generator would double the time; there are two facts to an invocation
        if not fits(fact.get(name, _MISSING)):
            return name
    return None


def _wrong_addition(fact: dict[str, Any], fields: dict[str, Any]) -> str | None:
    for name, fits in fields.items():
        if name in fact and not fits(fact[name]):
            return name
    return None if _whole(fact.get("dropped", 0)) else "dropped"


_MISSING = object()
