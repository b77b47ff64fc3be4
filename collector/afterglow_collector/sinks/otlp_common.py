"""What OpenTelemetry's metrics and traces share: attributes and the resource. In: plain values. Out: messages."""

from collections.abc import Iterator, Mapping

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

NS_PER_MS = 1_000_000
MAX_INT = (1 << 63) - 1  # of an attribute


def attributes_of(values: Mapping[str, str | int | float | bool]) -> Iterator[KeyValue]:
    """Return the values as attributes."""
    for name, value in values.items():
        yield KeyValue(key=name, value=_any(value))


def _any(value: str | float | bool) -> AnyValue:
    if isinstance(value, bool):  # before int, whose subclass it is
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=min(max(value, -MAX_INT - 1), MAX_INT))
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=whole_text(value))


def whole_text(text: str) -> str:
    """Return the text as UTF-8 can say it: half a character (a lone surrogate) becomes "?"."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def resource_of(attributes: Mapping[str, str | int | float | bool]) -> Resource:
    """Return a Lambda function as a resource (semantic conventions, FaaS resources); its name is the service's."""
    common: dict[str, str | int | float | bool] = {"cloud.provider": "aws", "cloud.platform": "aws_lambda"}
    if "faas.name" in attributes:
        common["service.name"] = attributes["faas.name"]
    return Resource(attributes=attributes_of({**common, **attributes}))
