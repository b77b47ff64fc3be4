"""Says what is wrong with an EMF document, more strictly than AWS' published schema.

In: one line, or the document that it holds; the time, if its timestamp is to be checked. Out: one sentence
per problem, ``path: what is there; what would be right``; none if every written rule of AWS is kept.

AWS' schema lets pass 101 metrics, metrics and dimensions without a target, arrays of 500, a resolution of 7,
repeated names and timestamps in seconds.
"""

import json
from collections.abc import Iterator
from typing import Any

from afterglow.emf_limits import MAX_AGE_MS, MAX_AHEAD_MS, MAX_EVENT_BYTES
from afterglow_collector.emf_check_directive import directive_problems
from afterglow_collector.emf_check_values import named, unknown_members

METADATA = frozenset(("Timestamp", "CloudWatchMetrics", "LogGroupName", "LogStreamName"))
"""Members of ``_aws``; the last two are for the CloudWatch agent."""


def check(line_or_document: str | bytes | dict[str, Any], now_ms: int | None = None) -> list[str]:
    """Return what is wrong, most fundamental first; nothing if all is well."""
    if isinstance(line_or_document, dict):
        return list(_document_problems(line_or_document, now_ms))
    size = len(
        line_or_document if isinstance(line_or_document, bytes) else line_or_document.encode(errors="surrogatepass")
    )
    if size > MAX_EVENT_BYTES:
        return [f"$: {size} bytes; a log event has at most {MAX_EVENT_BYTES}"]
    repeated: list[str] = []
    try:
        document = json.loads(
            line_or_document,
            object_pairs_hook=lambda pairs: _as_dict(pairs, repeated),
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError) as error:
        return [f"$: not JSON ({error}); an EMF line is one JSON object and nothing else"]
    if not isinstance(document, dict):
        return [f"$: {named(document)}; an EMF line is one JSON object"]
    return [*repeated, *_document_problems(document, now_ms)]


def _as_dict(pairs: list[tuple[str, Any]], repeated: list[str]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        repeated.append(f"$: member {twice[0]!r} stands there twice; readers differ in which one they take")
    return members


def _no_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON number")


def _document_problems(document: dict[str, Any], now_ms: int | None) -> Iterator[str]:
    metadata = document.get("_aws")
    if not isinstance(metadata, dict):
        yield f"$._aws: {named(metadata)}; an object with Timestamp and CloudWatchMetrics"
        return
    yield from unknown_members("$._aws", metadata, METADATA)
    yield from _timestamp_problems(metadata.get("Timestamp"), now_ms)
    directives = metadata.get("CloudWatchMetrics")
    if not isinstance(directives, list) or not directives:
        yield f"$._aws.CloudWatchMetrics: {named(directives)}; an array of at least one directive"
        return
    for index, directive in enumerate(directives):
        path = f"$._aws.CloudWatchMetrics[{index}]"
        yield from directive_problems(path, directive, document)


def _timestamp_problems(at_ms: Any, now_ms: int | None) -> Iterator[str]:
    path = "$._aws.Timestamp"
    if type(at_ms) is not int:
        yield f"{path}: {named(at_ms)}; a whole number of milliseconds since the Unix epoch"
    elif now_ms is not None and not now_ms - MAX_AGE_MS <= at_ms <= now_ms + MAX_AHEAD_MS:
        unit = " (seconds?)" if now_ms - MAX_AGE_MS <= at_ms * 1000 <= now_ms + MAX_AHEAD_MS else ""
        yield f"{path}: {at_ms}{unit}; between two weeks before and two hours after now ({now_ms})"
