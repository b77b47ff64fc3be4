"""What the hook says, checked. In: one message. Out: the fact as a dictionary whose fields are what they claim.

The hook is ours, but the socket is open to every process in the environment, so nothing is taken on trust.
"""

import json
from typing import Any

_NUMBER = (int, float)
_TEXT_OR_NONE = (str, type(None))
_INT_OR_NONE = (int, type(None))

FIELDS: dict[str, dict[str, Any]] = {
    "hello": {"v": int, "python": _TEXT_OR_NONE, "at": int, "took": int, "cpu": int, "root": _TEXT_OR_NONE},
    "init": {"from": int, "at": int, "cpu": int, "error": _TEXT_OR_NONE},
    "entered": {"id": str, "n": int, "at": int, "works": list},
    "found": {"new": list, "lost": list},
    "returned": {
        "id": str,
        "n": int,
        "from": int,
        "at": int,
        "error": _TEXT_OR_NONE,
        "user": _NUMBER,
        "system": _NUMBER,
        "own": int,
        "unlooked": int,
        "works": list,
    },
    "ended": {"w": int, "at": int, "cpu": _INT_OR_NONE},
    "gave-up": {"error": str},
}
_WORK = {
    "name": str,
    "site": list,
    "id": _TEXT_OR_NONE,
    "n": _INT_OR_NONE,
    "state": str,
    "at": int,
}
_NEW_WORK = {**_WORK, "w": int, "what": str, "jobs": int, "pid": _INT_OR_NONE}


class FactError(ValueError):
    """A message that is no fact of ours: says which field is wrong."""


def parse_fact(message: bytes) -> dict[str, Any]:
    """Return the fact, with its kind under "t"."""
    try:
        fact = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise FactError(f"not JSON: {error}") from None
    if not isinstance(fact, dict) or fact.get("t") not in FIELDS:
        raise FactError(f"no kind of fact: {str(fact)[:60]}")
    _check(fact, FIELDS[fact["t"]])
    for work in fact.get("new", ()):
        _check(work, _NEW_WORK)
    for work in fact.get("lost", ()):
        _check(work, _WORK)
    for update in fact.get("works", ()):
        if not (isinstance(update, list) and len(update) == 3 and isinstance(update[0], int)):
            raise FactError(f"field works: {update!r} is not [id, cpu, moved]")
    return fact


def _check(fact: Any, fields: dict[str, Any]) -> None:
    if not isinstance(fact, dict):
        raise FactError(f"{str(fact)[:60]} is no object")
    for name, wanted in fields.items():
        if not isinstance(fact.get(name, _MISSING), wanted):
            raise FactError(f"field {name}: {fact.get(name)!r}")
    for entry in fact.get("site", ()):
        if not (isinstance(entry, list) and len(entry) == 3 and isinstance(entry[1], int)):
            raise FactError(f"field site: {entry!r} is not [file, line, function]")


_MISSING = object()
