"""The sinks ``otlp`` metrics and traces: OTLP over HTTP, protobuf, gzip. Works without the OpenTelemetry SDK.

In: EMF entries, or batches of records. Out: POSTs to ``<endpoint>/v1/metrics`` and ``<endpoint>/v1/traces``.
The rules of who may try again are OTLP's (specification 1.x, "OTLP/HTTP Response").
"""

import gzip
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from urllib3.exceptions import HTTPError

from afterglow_collector.sinks import making, otlp_metrics, otlp_traces
from afterglow_collector.sinks.aws import retry_after_s
from afterglow_collector.sinks.contract import EMF, RECORD, UNMAKEABLE, Entry, SinkBatch, SinkRefused, SinkRetry
from afterglow_collector.sinks.emf_points import points_of
from afterglow_collector.sinks.record_batch import read_batch
from afterglow_collector.sinks.signing import SigV4
from afterglow_collector.sinks.spans import Span, SpanMaker

TIMEOUT_S = 10.0  # the specification's default for exporters
NEVER = frozenset((400, 413, 415, 422))
"""Answers that only another body could change. The specification forbids repeating 401, 403 and 404 as well, for
exporters that hold their data in memory; ours is on disk, and an operator can mend a token or a path."""


class OtlpClient:
    """One endpoint, with its connection kept alive. ``auth`` signs, where the endpoint is AWS' own."""

    def __init__(self, endpoint: str, headers: Mapping[str, str] | None = None, auth: SigV4 | None = None) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.shown = _without_credentials(self.endpoint)
        self.headers = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "gzip",
            **(headers or {}),
        }
        self.auth = auth
        self._session = requests.Session()

    def post(self, path: str, message: Message) -> bytes:
        """Send the message; return the answer's body, or raise SinkRetry or SinkRefused."""
        body = gzip.compress(message.SerializeToString(), compresslevel=5, mtime=0)
        try:
            answer = self._session.post(
                self.endpoint + path,
                data=body,
                headers=self.headers,
                auth=self.auth,
                timeout=TIMEOUT_S,
                allow_redirects=False,
            )
        except (requests.RequestException, HTTPError, *UNMAKEABLE) as error:  # what is wrong with a URL or a header
            raise SinkRetry(type(error).__name__) from error
        if answer.ok and answer.status_code < requests.codes.multiple_choices:
            return answer.content  # the specification says 200; many a gateway says 202 or 204, and means it
        if self.auth is not None and answer.status_code in {401, 403}:
            self.auth.renew()
        if answer.status_code in NEVER:
            raise SinkRefused(f"HTTP {answer.status_code}")
        raise SinkRetry(f"HTTP {answer.status_code}", after_s=retry_after_s(answer.headers.get("Retry-After")))

    def close(self) -> None:
        """Close the connections; a later post opens new ones."""
        self._session.close()


class OtlpMetrics:
    """Metrics out of EMF documents."""

    def __init__(self, client: OtlpClient) -> None:
        self.name = f"otlp metrics {client.shown}"
        self.kinds = frozenset((EMF,))
        self.client = client
        self._counts: dict[str, int] = {}

    def send(self, batch: SinkBatch) -> Mapping[str, int]:
        """Send the points of all documents in one request."""
        points, not_emf = making.each(batch.entries, lambda entry: points_of(entry.payload))
        request, unmakeable = making.together(points, otlp_metrics.request_of)
        sent = otlp_metrics.count_of(request)
        if sent:
            body = self.client.post("/v1/metrics", request)
            partial = _parsed(ExportMetricsServiceResponse(), body).partial_success
            _count(self._counts, "data-points", sent)
            _count(self._counts, "data-points-rejected", partial.rejected_data_points)
        return _refused({"not-emf": not_emf, making.REFUSED: unmakeable})

    def counts(self) -> Mapping[str, int]:
        """Return how many data points were sent, and how many of them the receiver did not keep."""
        return self._counts

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


class OtlpTraces:
    """Traces out of records; invocations that X-Ray did not trace get a trace of their own."""

    def __init__(self, client: OtlpClient) -> None:
        self.name = f"otlp traces {client.shown}"
        self.kinds = frozenset((RECORD,))
        self.client = client
        self._maker = SpanMaker(own_traces=True)
        self._counts: dict[str, int] = {}

    def send(self, batch: SinkBatch) -> Mapping[str, int]:
        """Send the spans of all records in one request."""
        spans, unreadable = making.each(batch.entries, self._spans)
        request, unmakeable = making.together(spans, otlp_traces.request_of)
        sent = otlp_traces.count_of(request)
        if sent:
            body = self.client.post("/v1/traces", request)
            partial = _parsed(ExportTraceServiceResponse(), body).partial_success
            _count(self._counts, "spans", sent)
            _count(self._counts, "spans-rejected", partial.rejected_spans)
        return _refused({making.REFUSED: unreadable + unmakeable})

    def _spans(self, entry: Entry) -> list[Span]:
        records = read_batch(entry.payload)
        spans = [span for span in self._maker.spans(records) if span.end_ms is not None]
        _count(self._counts, "unread-lines", records.unread)
        return spans

    def counts(self) -> Mapping[str, int]:
        """Return how many spans were sent and rejected, and the records that made none, by reason."""
        return {**self._counts, **self._maker.left_out}

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def _without_credentials(endpoint: str) -> str:
    """Return the URL for names, logs and metrics."""
    parts = urlsplit(endpoint)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _refused(counts: Mapping[str, int]) -> Mapping[str, int]:
    return {reason: count for reason, count in counts.items() if count}


def _parsed(answer: Any, body: bytes) -> Any:
    """Return the receiver's answer; one that is no protobuf says nothing, and a success is one."""
    try:
        answer.ParseFromString(body)
    except DecodeError:
        answer.Clear()
    return answer


def _count(counts: dict[str, int], name: str, count: int) -> None:
    if count:
        counts[name] = counts.get(name, 0) + count
