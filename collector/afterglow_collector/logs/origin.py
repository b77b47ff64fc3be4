"""Whose lines these are, from where they lie. In: names of a log group and a log stream. Out: function and version.

``/aws/lambda/checkout`` and ``2026/11/21/[$LATEST]0123…`` are Lambda's defaults. Functions that share a group of their
own choice (advanced logging controls) have the function's name in the stream: ``2026/11/21/checkout[7]0123…``.
"""

import re
from typing import NamedTuple

from afterglow.records import Environment

GROUP_PREFIX = "/aws/lambda/"
STREAM = re.compile(r"\d{4}/\d{2}/\d{2}/([^\[\]]*)\[([^\]]+)\]")
UNKNOWN = "unknown"


class Origin(NamedTuple):
    """A function and its version."""

    function: str
    version: str


def origin_of(group: str, stream: str) -> Origin:
    """Return the function that wrote into the stream; the group's own name where neither says it."""
    match = STREAM.match(stream)
    named = match[1] if match else ""
    by_group = group[len(GROUP_PREFIX) :] if group.startswith(GROUP_PREFIX) else ""
    return Origin(by_group or named or group, match[2] if match else "$LATEST")


def environment_of(group: str, stream: str, at_ms: int, memory_mb: int | None = None) -> Environment:
    """Return the stream's execution environment as far as its names tell: one stream is one environment."""
    origin = origin_of(group, stream)
    return Environment(
        env_id=stream,
        function=origin.function,
        version=origin.version,
        memory_mb=memory_mb,
        arch=UNKNOWN,
        init_type=UNKNOWN,
        runtime=None,
        region=None,
        agent=UNKNOWN,
        started_at_ms=at_ms,
    )
