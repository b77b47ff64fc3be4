"""What happens to a batch on its way to the listener: nothing, or what Misbehaviour asks for.

In: a batch's events. Out: parcels, each one POST. Pure: waiting and sending are the delivery's business.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from afterglow_layer.emulator.settings import Misbehaviour

Events = list[dict[str, Any]]
Step = Callable[[list[Events], Misbehaviour], list[Events]]


class Parcel(NamedTuple):
    """One POST, and how it goes wrong."""

    body: bytes
    events: int
    delay_ms: int  # to wait before it is sent
    dribble_ms: int  # to wait between its eight pieces; 0: in one
    cut: bool  # reset the connection half-way


def parcels(events: Events, misbehave: Misbehaviour, protocol: str = "HTTP") -> list[Parcel]:
    """Return what is sent for one batch, in order: a JSON array over HTTP, a line per event over TCP."""
    batches = [events] if events else []
    for step in STEPS:
        batches = step(batches, misbehave)
    return [_parcel(batch, misbehave, protocol) for batch in batches]


def split(batches: list[Events], misbehave: Misbehaviour) -> list[Events]:
    """Make each event a batch of its own."""
    return [[each] for batch in batches for each in batch] if misbehave.split_batches else batches


def duplicate(batches: list[Events], misbehave: Misbehaviour) -> list[Events]:
    """Send each batch twice."""
    return [batch for batch in batches for _ in range(2)] if misbehave.duplicate_batches else batches


def oversize(batches: list[Events], misbehave: Misbehaviour) -> list[Events]:
    """Put a long log line at the end of each batch."""
    if not misbehave.oversize_bytes:
        return batches
    return [[*batch, {**batch[-1], "type": "function", "record": "x" * misbehave.oversize_bytes}] for batch in batches]


STEPS: list[Step] = [split, duplicate, oversize]


def sequence_id(body: bytes) -> str:
    """Return the Sequence-Id header: a batch sent twice has it twice (RIE source, telemetry/internal/client.go)."""
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def _parcel(events: Events, misbehave: Misbehaviour, protocol: str) -> Parcel:
    body = _as_lines(events) if protocol == "TCP" else _as_json(events)
    if misbehave.malformed_batches:
        body = body[: len(body) * 2 // 3]
    return Parcel(body, len(events), misbehave.slow_batches_ms, misbehave.dribble_ms, misbehave.cut_batches)


def _as_json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _as_lines(events: Events) -> bytes:
    return b"".join(_as_json(event) + b"\n" for event in events)
