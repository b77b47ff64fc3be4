"""The sink ``xray``: Init, Invoke and after-return subsegments, through the daemon or through PutTraceSegments.

In: batches of records. Out: subsegment documents, made and sent by AWS' own SDK, under the segment that Lambda
itself writes for the invocation. Work that still goes on is sent as ``in_progress``, and again once it has ended.
"""

import errno
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from afterglow_collector.sinks.aws import MakeClient, is_stale, verdict
from afterglow_collector.sinks.contract import RECORD, SinkBatch, SinkRetry
from afterglow_collector.sinks.record_batch import read_batch
from afterglow_collector.sinks.spans import SpanMaker
from afterglow_collector.sinks.xray_segments import DAEMON_HEADER, document_of

MAX_DOCUMENTS = 50  # per PutTraceSegments call: the X-Ray daemon's own number
MAX_DOCUMENT_BYTES = 64_000  # "up to 64 kB in size" (X-Ray developer guide, segment documents)
BUSY = frozenset(("ThrottlingException", "InternalFailure", "ServiceUnavailable"))


class Transport(Protocol):
    """How documents get to X-Ray."""

    name: str

    def deliver(self, documents: Sequence[str]) -> Mapping[str, int]:
        """Send them; return what was refused, by reason. SinkRetry, SinkRefused as for a sink."""

    def close(self) -> None:
        """Let go of sockets and clients."""


class XRay:
    """Makes subsegments out of records. Sent again, a subsegment replaces itself: its id is its own digest."""

    def __init__(self, transport: Transport) -> None:
        self.name = f"xray {transport.name}"
        self.kinds = frozenset((RECORD,))
        self.transport = transport
        self._maker = SpanMaker(own_traces=False)
        self._counts: dict[str, int] = {}

    def send(self, batch: SinkBatch) -> Mapping[str, int]:
        """Send the subsegments of the batch's sampled traces."""
        documents = []
        for entry in batch.entries:
            records = read_batch(entry.payload)
            self._count("unread-lines", records.unread)
            for span in self._maker.spans(records):
                document = document_of(span)
                if len(document.encode()) > MAX_DOCUMENT_BYTES:
                    self._count("too-large", 1)
                else:
                    documents.append(document)
        for reason, count in self.transport.deliver(documents).items():
            self._count(f"refused: {reason}", count)
        self._count("subsegments", len(documents))
        return {}

    def counts(self) -> Mapping[str, int]:
        """Return subsegments sent and refused, and the records that made none, by reason."""
        return {**self._counts, **self._maker.left_out}

    def close(self) -> None:
        """Let go of the transport."""
        self.transport.close()

    def _count(self, name: str, count: int) -> None:
        if count:
            self._counts[name] = self._counts.get(name, 0) + count


class Daemon:
    """The X-Ray daemon, or the CloudWatch agent or an OpenTelemetry collector in its place: UDP, port 2000."""

    def __init__(self, address: str) -> None:
        self.name = f"daemon {address}"
        self.address = address
        self._emitter: Any = None

    def deliver(self, documents: Sequence[str]) -> Mapping[str, int]:
        """Send a datagram per document. The daemon acknowledges nothing."""
        if self._emitter is None:
            from aws_xray_sdk.core.emitters.udp_emitter import UDPEmitter  # noqa: PLC0415 - 240 ms, if asked for

            self._emitter = UDPEmitter(self.address)
        try:
            for document in documents:
                # Not send_entity: it logs an error and forgets it, where we have to know.
                self._emitter._send_data(DAEMON_HEADER + document)
        except OSError as error:
            raise SinkRetry(errno.errorcode.get(error.errno or 0, type(error).__name__)) from error
        return {}

    def close(self) -> None:
        """Close the socket."""
        if self._emitter is not None:
            self._emitter._socket.close()  # the SDK never closes it
            self._emitter = None


class PutTraceSegments:
    """X-Ray's own API: for collectors that have no daemon beside them."""

    def __init__(self, make_client: MakeClient) -> None:
        self.name = "PutTraceSegments"
        self._make_client = make_client
        self._client: Any = None

    def deliver(self, documents: Sequence[str]) -> Mapping[str, int]:
        """Send the documents, MAX_DOCUMENTS at a time. What is throttled fails the batch, and is repeated with it."""
        refused: dict[str, int] = {}
        for start in range(0, len(documents), MAX_DOCUMENTS):
            for code in self._put(documents[start : start + MAX_DOCUMENTS]):
                if code in BUSY:
                    raise SinkRetry(code)
                refused[code] = refused.get(code, 0) + 1
        return refused

    def close(self) -> None:
        """Forget the client."""
        self._client = None

    def _put(self, documents: Sequence[str]) -> list[str]:
        """Return the error codes of the documents that were not processed."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see sinks.aws

        try:
            if self._client is None:
                self._client = self._make_client()
            answer = self._client.put_trace_segments(TraceSegmentDocuments=list(documents))
        except (BotoCoreError, ClientError) as error:
            if is_stale(error):
                self._client = None
            raise verdict(error) from error
        return [str(unprocessed.get("ErrorCode", "unknown")) for unprocessed in answer["UnprocessedTraceSegments"]]
