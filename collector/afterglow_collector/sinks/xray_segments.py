"""Writes a span as an X-Ray subsegment. In: a span. Out: a JSON document, by AWS' own SDK.

What may be searched for goes into annotations: every fact of a span does, there are at most 20 (50 are allowed).
"""

import os
import re
from functools import lru_cache
from typing import Any

from afterglow_collector.sinks.spans import Span
from afterglow_collector.sinks.trace_header import xray_trace_id

DAEMON_VARIABLE = "AWS_XRAY_DAEMON_ADDRESS"
DAEMON_HEADER = '{"format":"json","version":1}\n'
MAX_NAME = 200  # characters (X-Ray developer guide, segment documents)
MAX_ANNOTATION = 1000  # characters of a string value
NAME = re.compile(r"[^\w\s.:/%&#=+\\\-@]+")  # "Unicode letters, numbers, and whitespace, and … _, ., :, /, …"


def name_of(text: str) -> str:
    """Return the text as a subsegment may be called; ``Thread-1 (notify)`` becomes ``Thread-1 notify``."""
    return NAME.sub("", text)[:MAX_NAME].strip() or "unnamed"


def document_of(span: Span) -> str:
    """Return the span's subsegment document. A trace without a parent gets it as a segment of its own."""
    Segment, Subsegment = _models()  # noqa: N806 - classes
    trace_id = xray_trace_id(span.trace.trace_id)
    function = Segment(name_of(span.environment.function), traceid=trace_id)
    entity = function if span.trace.parent_id is None else Subsegment(name_of(span.name), "local", function)
    entity.id = span.span_id
    entity.parent_id = span.trace.parent_id
    entity.start_time = span.start_ms / 1000
    for name, value in {**span.facts, "afterglow": True}.items():
        entity.put_annotation(name, value[:MAX_ANNOTATION] if isinstance(value, str) else value)
    if span.failed:
        entity.add_fault_flag()
    if span.end_ms is not None:
        entity.end_time = span.end_ms / 1000
        entity.in_progress = False
    text: str = entity.serialize()
    return text


@lru_cache(1)
def _models() -> tuple[Any, Any]:
    """Return the SDK's classes. Its import opens a socket to the environment's daemon, and raises if that is IPv6's."""
    daemon = os.environ.pop(DAEMON_VARIABLE, None)
    try:
        from aws_xray_sdk.core.models.segment import Segment  # noqa: PLC0415 - 240 ms that only this sink needs
        from aws_xray_sdk.core.models.subsegment import Subsegment  # noqa: PLC0415
    finally:
        if daemon is not None:
            os.environ[DAEMON_VARIABLE] = daemon
    return Segment, Subsegment
