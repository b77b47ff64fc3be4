"""What OpenTelemetry's metrics and traces share: attributes and the resource. In: plain values. Out: messages."""

from collections.abc import Iterator, Mapping

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

NS_PER_MS = 1_000_000


def attributes_of(values: Mapping[str, str | int | float | bool]) -> Iterator[KeyValue]:
    """Return the values as attributes."""
    for name, value in values.items():
        yield KeyValue(key=name, value=_any(value))


def _any(value: str | float | bool) -> AnyValue:
    if isinstance(value, bool):  # before int, whose subclass it is
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=value)


def resource_of(attributes: Mapping[str, str | int | float | bool]) -> Resource:
    """Return a Lambda function as a resource (semantic conventions, FaaS resources); its name is the service's."""
    common: dict[str, str | int | float | bool] = {"cloud.provider": "aws", "cloud.platform": "aws_lambda"}
    if "faas.name" in attributes:
        common["service.name"] = attributes["faas.name"]
    return Resource(attributes=attributes_of({**common, **attributes}))
