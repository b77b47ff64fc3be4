"""Why a result cannot become JSON. In: the result, the handler. Out: a cause in few words, and the handler's ``def``.

Only for a result that the runtime client has refused, so an invocation that ends well pays nothing. What leaves the
function are names of types, and keys that look like names; no other keys, and no values.
"""

from __future__ import annotations

import linecache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType
    from typing import Any

MOST_CHARACTERS = 100
_MOST_LOOKED_AT = 20_000
_DEEPEST = 200
_LONGEST_KEY = 40
_MOST_DECORATORS = 60  # lines between a definition's first decorator and its ``def``
_UNRUN = {"coroutine": ("cr_code", "async def"), "async_generator": ("ag_code", "async generator")}
_UNRUN["generator"] = ("gi_code", "generator")


def explain(result: Any, handler: Any) -> tuple[str, list[list[object]]]:
    """Return the cause (docs/endings.md lists them), and the frame of the handler's ``def``, if it has one."""
    code = _code_of(handler)
    site = [[code.co_filename, _line_of(code), getattr(code, "co_qualname", code.co_name)]] if code is not None else []
    attribute, word = _UNRUN.get(type(result).__name__, ("", ""))
    made_by = getattr(result, attribute, None) if attribute else None
    if made_by is not None:
        name = str(getattr(made_by, "co_qualname", made_by.co_name))[:MOST_CHARACTERS]
        return (word if made_by is code else f"{type(result).__name__.replace('_', ' ')} of {name}"), site
    return _first_that_is_none(result), site


def _code_of(handler: Any) -> CodeType | None:
    """Return the code of the function that decorators and the like are around."""
    for _ in range(20):
        inner = vars(handler).get("__wrapped__") if hasattr(handler, "__dict__") else None
        inner = inner or getattr(handler, "__func__", None)
        if inner is None and type(handler).__name__ == "partial":
            inner = handler.func
        if inner is None:
            break
        handler = inner
    if not hasattr(handler, "__code__"):  # an object that is called
        handler = vars(type(handler)).get("__call__")
    return getattr(handler, "__code__", None)


def _line_of(code: CodeType) -> int:
    """Return the line of the ``def``: a code object's first one is that of its first decorator."""
    first = code.co_firstlineno
    for number, line in enumerate(linecache.getlines(code.co_filename)[first - 1 : first + _MOST_DECORATORS], first):
        if line.lstrip().startswith(("def ", "async def ", "async  def ")):
            return number
    return first


def _first_that_is_none(result: Any) -> str:
    """Return the path of the first value that is no JSON, and its type: ``$.report.until: datetime``."""
    looked_at = 0
    path: list[str] = ["$"]
    wrong = _wrong(result)
    if wrong:
        return f"$: {wrong}"
    open_ones = [result]
    iterators = [_members(result)]
    while iterators:
        for step, key, value in iterators[-1]:
            looked_at += 1
            wrong = _wrong_key(key) or _wrong(value)
            if any(value is one for one in open_ones):
                wrong = f"the {type(value).__name__} that it is in"
            if wrong or looked_at > _MOST_LOOKED_AT or len(path) > _DEEPEST:
                place = _cut("".join([*path, step]))
                return f"{place}: {wrong}" if wrong else f"{place}: not found up to here"
            if isinstance(value, (dict, list, tuple)):
                path.append(step)
                open_ones.append(value)
                iterators.append(_members(value))
                break
        else:
            iterators.pop()
            open_ones.pop()
            path.pop()
    return "$: " + type(result).__name__


def _members(value: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield (step, key, member) as the types themselves have them: no method of the user's is called."""
    if isinstance(value, dict):
        for key, member in dict.items(value):
            yield _step(key), key, member
    elif isinstance(value, (list, tuple)):
        plain = list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value)
        for place, member in enumerate(plain):
            yield f"[{place}]", "", member


def _step(key: Any) -> str:
    """Return the key if it can be a name in a program; else it may well be somebody's address or number."""
    is_name = type(key) is str and key.isidentifier() and len(key) <= _LONGEST_KEY
    return f".{key}" if is_name else f"[{type(key).__name__}]"


def _wrong_key(key: Any) -> str:
    fits = key is None or isinstance(key, (str, int, float, bytes))
    return "" if fits else f"a key of type {type(key).__name__}"


def _wrong(value: Any) -> str:
    """Return the name of a type that the runtime client's encoder refuses."""
    if isinstance(value, bytes):
        try:
            bytes.decode(value)
        except UnicodeDecodeError:
            return "bytes that are no UTF-8"
        return ""
    if value is None or isinstance(value, (str, int, float, dict, list, tuple)):
        return ""
    kind = type(value)
    is_decimal = kind.__name__ == "Decimal" and kind.__module__ in ("decimal", "_pydecimal")
    return "" if is_decimal or kind.__name__ == "RawJSON" else kind.__name__[:MOST_CHARACTERS]


def _cut(path: str) -> str:
    if len(path) <= MOST_CHARACTERS:
        return path
    half = MOST_CHARACTERS // 2
    return f"{path[:half]}…{path[1 - half :]}"
