"""The Telemetry API's subscription request: checked, then a Subscription.

In: the body of ``PUT /2022-07-01/telemetry``. Out: a Subscription, or Refused with 400 ValidationError. Rules
are those of RIE source, telemetry-subscription-schema.json and subscription_api.go (seen on RIE 1.170,
Managed Instances mode), which the Lambda docs' "Telemetry API reference" describes for all types.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from afterglow_layer.emulator import facts
from afterglow_layer.emulator.states import Refused


class Subscription(NamedTuple):
    """What an extension asked for."""

    schema: str
    types: tuple[str, ...]
    protocol: str  # HTTP or TCP
    port: int
    path: str
    max_items: int
    max_bytes: int
    timeout_ms: int


def parse_subscription(body: bytes, schemas: Sequence[str]) -> Subscription:
    """Return the subscription that ``body`` asks for; ``schemas`` are the versions that the endpoint knows."""
    document = _document(body)
    schema = _one_of("schemaVersion", document.get("schemaVersion"), schemas)
    protocol, port, path = _destination(document.get("destination"))
    buffering = _buffering(document.get("buffering"))
    return Subscription(
        schema,
        _types(document.get("types")),
        protocol,
        port,
        path,
        buffering["maxItems"],
        buffering["maxBytes"],
        buffering["timeoutMs"],
    )


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise _invalid(f"failed to parse JSON: {error}") from None
    if not isinstance(document, dict):
        raise _invalid("schema validation error: expected object")
    return document


def _one_of(name: str, value: object, allowed: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise _invalid(f"schema validation error: {name} must be one of {', '.join(allowed)}")
    return value


def _types(types: object) -> tuple[str, ...]:
    if not isinstance(types, list) or not types:
        raise _invalid("schema validation error: types must be a list with at least one item")
    return tuple(_one_of("types", each, facts.TELEMETRY_TYPES) for each in types)


def _destination(destination: object) -> tuple[str, int, str]:
    if not isinstance(destination, dict):
        raise _invalid("schema validation error: destination is missing")
    if _one_of("destination.protocol", destination.get("protocol"), ("HTTP", "TCP")) == "TCP":
        return "TCP", _port(destination.get("port")), ""
    uri = urlsplit(str(destination.get("URI", "")))
    if uri.hostname not in facts.LISTENER_HOSTS:
        raise _invalid(f"Invalid destination: destination.URI host must be {facts.LISTENER_HOSTS[0]}")
    return "HTTP", _port(uri.port or 80), uri.path or "/"


def _port(port: object) -> int:
    if type(port) is not int or not 1 <= port <= 65535:
        raise _invalid("schema validation error: destination.port must be 1 to 65535")
    return port


def _buffering(buffering: object) -> dict[str, int]:
    if buffering is None:
        return dict(facts.BUFFERING_DEFAULTS)
    if not isinstance(buffering, dict):
        raise _invalid("schema validation error: buffering must be an object")
    for name, (least, most) in facts.BUFFERING_LIMITS.items():
        value = buffering.get(name, least)
        if type(value) is not int or not least <= value <= most:
            raise _invalid(f"schema validation error: buffering.{name} must be {least} to {most}")
    return {name: buffering.get(name, default) for name, default in facts.BUFFERING_DEFAULTS.items()}


def _invalid(message: str) -> Refused:
    return Refused(400, "ValidationError", message)
