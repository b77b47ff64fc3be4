"""Writes spans as OpenTelemetry traces. In: spans that have ended. Out: one ExportTraceServiceRequest."""

from collections.abc import Iterable

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

from afterglow.records import Environment
from afterglow.version import __version__
from afterglow_collector.sinks.otlp_common import attributes_of, resource_of, whole_text
from afterglow_collector.sinks.spans import Span

MB = 1024 * 1024


def request_of(spans: Iterable[Span]) -> ExportTraceServiceRequest:
    """Return the spans by environment. A span without an end is left out: OpenTelemetry has no word for it."""
    request = ExportTraceServiceRequest()
    scopes: dict[str, ScopeSpans] = {}
    for span in spans:
        if span.end_ms is None:
            continue
        env_id = span.environment.env_id
        if env_id not in scopes:
            of_resource = request.resource_spans.add()
            of_resource.resource.CopyFrom(resource_of(environment_attributes(span.environment)))
            scopes[env_id] = of_resource.scope_spans.add()
            scopes[env_id].scope.name, scopes[env_id].scope.version = "afterglow", __version__
        _fill(scopes[env_id].spans.add(), span, span.end_ms)
    return request


def count_of(request: ExportTraceServiceRequest) -> int:
    """Return how many spans the request holds."""
    return sum(len(scope.spans) for of_resource in request.resource_spans for scope in of_resource.scope_spans)


def _fill(message: SpanMessage, span: Span, end_ms: float) -> None:
    message.trace_id = bytes.fromhex(span.trace.trace_id)
    message.span_id = bytes.fromhex(span.span_id)
    if span.trace.parent_id is not None:
        message.parent_span_id = bytes.fromhex(span.trace.parent_id)
    message.name = whole_text(span.name)
    message.kind = SpanMessage.SPAN_KIND_INTERNAL  # the server's span is Lambda's own
    message.start_time_unix_nano = _ns(span.start_ms)
    message.end_time_unix_nano = max(message.start_time_unix_nano, _ns(end_ms))
    message.attributes.extend(attributes_of({f"afterglow.{name}": value for name, value in span.facts.items()}))
    if span.failed:
        message.status.code = Status.STATUS_CODE_ERROR


def _ns(at_ms: float) -> int:
    """Return a time in nanoseconds, to the microsecond: a float of today's date knows no more."""
    return round(at_ms * 1000) * 1000


def environment_attributes(environment: Environment) -> dict[str, str | int | float | bool]:
    """Return an execution environment as the attributes of a resource."""
    attributes: dict[str, str | int | float | bool] = {
        "faas.name": environment.function,
        "faas.version": environment.version,
        "faas.instance": environment.env_id,
        "host.arch": {"x86_64": "amd64"}.get(environment.arch, environment.arch),
    }
    if environment.memory_mb is not None:
        attributes["faas.max_memory"] = environment.memory_mb * MB
    if environment.region is not None:
        attributes["cloud.region"] = environment.region
    return attributes
