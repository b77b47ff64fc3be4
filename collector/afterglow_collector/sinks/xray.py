"""The sink ``xray``: Init, Invoke and after-return subsegments, through the daemon or through PutTraceSegments.

In: batches of records. Out: subsegment documents, made and sent by AWS' own SDK, under the segment that Lambda
itself writes for the invocation. Work that still goes on is sent as ``in_progress``, and again once it has ended.
"""

import errno
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from afterglow_collector.sinks import making
from afterglow_collector.sinks.aws import MakeClient, is_stale, made, verdict
from afterglow_collector.sinks.contract import RECORD, Entry, SinkBatch, SinkRetry
from afterglow_collector.sinks.datagrams import connect_udp, send_paced
from afterglow_collector.sinks.record_batch import read_batch
from afterglow_collector.sinks.spans import SpanMaker
from afterglow_collector.sinks.xray_segments import DAEMON_HEADER, document_of

if TYPE_CHECKING:
    import socket

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
        per_entry, unmakeable = making.each(batch.entries, self._documents)
        documents = [document for entry in per_entry for document in entry]
        for reason, count in self.transport.deliver(documents).items():
            self._count(f"refused: {reason}", count)
        self._count("subsegments", len(documents))
        return {making.REFUSED: unmakeable} if unmakeable else {}

    def _documents(self, entry: Entry) -> list[str]:
        records = read_batch(entry.payload)
        self._count("unread-lines", records.unread)
        made = [document_of(span) for span in self._maker.spans(records)]
        fitting = [document for document in made if len(document.encode()) <= MAX_DOCUMENT_BYTES]
        self._count("too-large", len(made) - len(fitting))
        return fitting

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
        host, _, port = address.rpartition(":")
        self.address = host.strip("[]"), int(port)
        self._socket: socket.socket | None = None

    def deliver(self, documents: Sequence[str]) -> Mapping[str, int]:
        """Send a datagram per document. The daemon acknowledges nothing; that nobody is there, the socket hears."""
        try:
            if self._socket is None:
                self._socket = connect_udp(self.address)
            too_large = send_paced(self._socket, ((DAEMON_HEADER + document).encode() for document in documents))
        except OSError as error:
            self.close()
            raise SinkRetry(errno.errorcode.get(error.errno or 0, type(error).__name__)) from error
        return {"too-large-for-udp": too_large} if too_large else {}

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


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
                self._client = made(self._make_client)
            answer = self._client.put_trace_segments(TraceSegmentDocuments=list(documents))
        except (BotoCoreError, ClientError) as error:
            if is_stale(error):
                self._client = None
            raise verdict(error) from error
        return [str(unprocessed.get("ErrorCode", "unknown")) for unprocessed in answer["UnprocessedTraceSegments"]]
