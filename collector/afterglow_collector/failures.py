"""What failed in a run: calls and Inits with a bad ending, alike ones together.

In: the run document. Out: failures, each with all that is known of it. Pure.
"""

from typing import Any, NamedTuple

from afterglow_collector.frames import Frame, own_site, parse_frame, parse_stacks
from afterglow_collector.timeline import failed, how_it_ended

Entry = dict[str, Any]


class Failure(NamedTuple):
    """One bad ending, seen in one or more calls."""

    status: str  # endings.ENDINGS, or what the caller saw: no-answer
    init: bool  # it was Init that failed
    calls: list[Entry]  # invocations of the run document
    ending: Entry | None  # the first one's evidence, if the extension could tell any
    site: Frame | None  # the call site that it was at
    detail: str | None  # the fatal signal's words, the exception's class, the platform's or the caller's error type
    later: tuple[Entry, ...] = ()  # the endings of the others


def failures_of(document: dict[str, Any]) -> list[Failure]:
    """Return what failed, in the order in which it first did; one of a kind from one place is one failure."""
    groups: dict[tuple[object, ...], Failure] = {}
    for failure in _each(document):
        late = failure.init and failure.status == "timeout"  # the detail says how late, which differs
        site = None if failure.status == "out-of-memory" else failure.site  # where it was by chance as memory ran out
        told = (failure.ending or {}).get("cause") or failure.detail  # an exit is told in other words at each try
        key = (failure.status, failure.init, None if late else told, site and site[:3])
        known = groups.get(key)
        groups[key] = _together(known, failure) if known else failure
    return list(groups.values())


def _together(known: Failure, other: Failure) -> Failure:
    """Return both as one; a call that two Inits were tried for stands in it once."""
    calls = [*known.calls, *(call for call in other.calls if call not in known.calls)]
    return known._replace(calls=calls, later=(*known.later, *([other.ending] if other.ending else [])))


def _each(document: dict[str, Any]) -> list[Failure]:
    numbered = {call["invocation"]: call for call in document["invocations"]}
    of_init = [ending for ending in document["endings"] if ending["request_id"] is None]
    of_call = {ending["invocation"]: ending for ending in document["endings"] if ending["request_id"] is not None}
    init_for = {ending["invocation"] for ending in of_init}
    failures = [_of_init(ending, numbered.get(ending["invocation"])) for ending in of_init]
    failures += _untold_inits(document, {ending["environment"] for ending in of_init})
    failures += [
        _of_call(call, of_call.get(number))
        for number, call in numbered.items()
        if failed(call) and number not in init_for
    ]
    return sorted(failures, key=_order)


def _order(failure: Failure) -> float:
    return failure.calls[0]["invocation"] if failure.calls else -1


def _of_init(ending: Entry, call: Entry | None) -> Failure:
    return Failure(ending["status"], True, [call] if call else [], ending, _site(ending, None), ending["detail"])


def _untold_inits(document: dict[str, Any], told: set[int | None]) -> list[Failure]:
    """Return Inits that failed in environments that have not come to their end: nothing but the class is known."""
    return [
        Failure("init-error", True, [], None, None, entry["init"]["error_type"])
        for entry in document["environments"]
        if entry["environment"] not in told and entry["init"] and entry["init"]["error_type"]
    ]


def _of_call(call: Entry, ending: Entry | None) -> Failure:
    seen = call["caller"]["error_type"] if call["caller"] else None
    detail = (ending["detail"] if ending else None) or call["error_type"] or seen
    return Failure(how_it_ended(call), False, [call], ending, _site(ending, call["error_origin"]), detail)


def _site(ending: Entry | None, origin: str | None) -> Frame | None:
    """Return where it was: where the exception came from, or what the first thread was at."""
    if origin:
        return parse_frame(origin)
    return where_of(ending) if ending else None


def where_of(ending: Entry) -> Frame | None:
    """Return the line that an ending is to be headed by: of the first thread that has one of the function's own."""
    stacks = parse_stacks(ending)
    sites = [site for site in map(own_site, stacks) if site]
    return next((site for site in sites if site.is_own), sites[0] if sites else None)
