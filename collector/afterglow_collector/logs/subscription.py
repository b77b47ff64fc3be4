"""Reads what CloudWatch Logs delivers. In: gzip from a subscription, or a Kinesis event. Out: deliveries.

A subscription sends ``{"messageType": …, "logGroup": …, "logStream": …, "logEvents": [{"timestamp", "message"}]}``,
gzipped; to a function directly as base64 in ``awslogs.data``, through Kinesis as a record's data, which Lambda
gives in base64 (CloudWatch Logs user guide, "Real-time processing of log data with subscriptions").
"""

import binascii
import json
import zlib
from base64 import b64decode
from collections.abc import Iterator
from typing import Any, NamedTuple

from afterglow_collector.logs.fetch import LogEvent
from afterglow_collector.plausible import MAX_WHOLE

MAX_BYTES = 64 * 1024 * 1024
"""Decompressed. A Kinesis record holds 10 MiB at most, and log text shrinks to a tenth; beyond it lies a bomb."""

GZIP_WBITS = 31  # zlib's way to say: gzip, largest window


class Delivery(NamedTuple):
    """Events of one log stream. A control message, by which CloudWatch tries the destination out, has none."""

    group: str
    stream: str
    events: list[LogEvent]


class DeliveryError(ValueError):
    """Something that is no delivery: says what is wrong with it."""


def read_delivery(data: str) -> Delivery:
    """Return what base64 data holds."""
    try:
        packed = b64decode(data, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise DeliveryError(f"not base64: {error}") from None
    try:
        document = json.loads(_inflated(packed))
    except (ValueError, RecursionError) as error:
        raise DeliveryError(str(error) if isinstance(error, DeliveryError) else f"not JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("logEvents"), list):
        raise DeliveryError("no object with logEvents")
    group, stream = str(document.get("logGroup", "")), str(document.get("logStream", ""))
    if document.get("messageType") == "CONTROL_MESSAGE":
        return Delivery(group, stream, [])
    return Delivery(group, stream, list(_events(stream, document["logEvents"])))


def kinesis_items(event: dict[str, Any]) -> list[tuple[str, str]]:
    """Return each record's sequence number and its base64 data, in order; DeliveryError if it is no Kinesis event."""
    try:
        return [(record["kinesis"]["sequenceNumber"], record["kinesis"]["data"]) for record in event["Records"]]
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise DeliveryError(f"Records, but not of a Kinesis stream: {error!r}") from None


def direct_data(event: dict[str, Any]) -> str:
    """Return the base64 data of a direct subscription; DeliveryError if there is none."""
    awslogs = event["awslogs"]
    data = awslogs.get("data") if isinstance(awslogs, dict) else None
    if not isinstance(data, str):
        raise DeliveryError("awslogs without data")
    return data


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj(GZIP_WBITS)
    try:
        text = inflater.decompress(data, MAX_BYTES)
    except zlib.error as error:
        raise DeliveryError(f"not gzip: {error}") from None
    if not inflater.eof:
        raise DeliveryError(f"over {MAX_BYTES} bytes" if inflater.unconsumed_tail else "gzip that ends too early")
    return text


def _events(stream: str, events: list[Any]) -> Iterator[LogEvent]:
    for event in events:
        at_ms = event.get("timestamp") if isinstance(event, dict) else None
        if type(at_ms) is not int or not 0 <= at_ms <= MAX_WHOLE:
            raise DeliveryError("a log event without its timestamp")
        yield LogEvent(stream, at_ms, str(event.get("message", "")))
