"""Reads an X-Ray trace header. In: INVOKE's ``tracing.value``. Out: the trace, or None if it is no such header.

``Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=…`` (X-Ray developer guide,
"Tracing header"). Root is the trace's id; its hex digits are also OpenTelemetry's (the X-Ray propagator).
"""

import re
from typing import NamedTuple

ROOT = re.compile(r"1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})\Z")
PARENT = re.compile(r"[0-9a-fA-F]{16}\Z")


class Trace(NamedTuple):
    """Where a span belongs. ``parent_id`` is None where the header names none: then the span is a root."""

    trace_id: str  # 32 hex digits
    parent_id: str | None  # 16 hex digits
    sampled: bool


def parse_trace(header: str | None) -> Trace | None:
    """Return the header's trace. Without ``Sampled=1`` it is not sampled: "?" and absence leave that to others."""
    fields = dict(part.strip().partition("=")[::2] for part in (header or "").split(";"))
    root = ROOT.match(fields.get("Root", ""))
    if root is None:
        return None
    parent = fields.get("Parent", "")
    parent_id = parent.lower() if PARENT.match(parent) else None
    return Trace((root[1] + root[2]).lower(), parent_id, fields.get("Sampled") == "1")


def xray_trace_id(trace_id: str) -> str:
    """Return a trace's id as X-Ray writes it."""
    return f"1-{trace_id[:8]}-{trace_id[8:]}"
