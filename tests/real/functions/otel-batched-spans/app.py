"""Traces with OpenTelemetry's BatchSpanProcessor, as on a server."""

import os

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{os.environ['SINK']}/v1/traces")))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("orders")


def handler(event, context):
    with tracer.start_as_current_span("place order") as span:
        span.set_attribute("order", event["order"])
    return {"ok": True}
