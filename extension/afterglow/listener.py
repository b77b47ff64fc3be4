"""The Telemetry API's batches. In: HTTP POSTs on the subscription's listener. Out: events, and counts of bad ones.

A part of the one poll loop: non-blocking, bounded in connections, bytes and events, and content with batches
that come split, twice, late or broken. Lambda sends again what is not answered with 200, so everything is.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from afterglow.ear import Ear

if TYPE_CHECKING:
    import _socket

MOST_CONNECTIONS = 8
LARGEST_REQUEST_BYTES = 4_194_304  # Lambda's batches are at most 1 MB, a record in them 256 KB
LARGEST_HEAD_BYTES = 16_384
RECEIVE_BYTES = 262_144
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
BAD = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class RequestError(ValueError):
    """What came is no HTTP request that we take."""

    reason = "not-http"


class TooLongError(RequestError):
    """A request, but one that would take more memory than it is worth."""

    reason = "too-long"


def parse_request(data: bytes) -> tuple[bytes, int] | None:
    """Return the body of the first whole request and the request's length; None while it is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > LARGEST_HEAD_BYTES:
            raise RequestError("headers without an end")
        return None
    first, *lines = data[:end].lower().split(b"\r\n")
    if not first.startswith((b"post ", b"put ")):
        raise RequestError(f"{first[:40]!r}")
    headers = {name.strip(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    length = headers.get(b"content-length", b"")
    if not length.isdigit():
        raise RequestError(f"content-length {length[:20]!r}")
    if int(length) > LARGEST_REQUEST_BYTES:
        raise TooLongError(length.decode())
    start = end + 4
    return (data[start : start + int(length)], start + int(length)) if len(data) >= start + int(length) else None


class Listener:
    """Reads the connections that Lambda opens to us."""

    def __init__(self, listener: "_socket.socket | None") -> None:
        self.ear = Ear(listener)
        self.connections: dict[int, tuple[_socket.socket, bytes]] = {}
        self.seen = 0
        self.dropped: dict[str, int] = {}

    def descriptors(self) -> list[int]:
        """Return what to poll for input."""
        return [*self.connections, *self.ear.descriptors()]

    def close(self) -> None:
        """Let go of everything: there is no Telemetry API here."""
        self.ear.listener = None  # the subscription's own, and closed by it
        for connection, _ in self.connections.values():
            connection.close()
        self.connections.clear()

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield the events that have arrived."""
        self._accept()
        for descriptor in list(self.connections):
            yield from self._read_connection(descriptor)

    def _accept(self) -> None:
        while (connection := self.ear.take()) is not None:
            connection.setblocking(False)
            if len(self.connections) >= MOST_CONNECTIONS:
                connection.close()
                self.drop("too-many-connections")
            else:
                self.connections[connection.fileno()] = (connection, b"")

    def _read_connection(self, descriptor: int) -> Iterator[dict[str, Any]]:
        connection, buffer = self.connections[descriptor]
        cut = False
        try:
            data = connection.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:  # a reset, which also takes away what we have not read yet
            data, cut = b"", True
        buffer += data
        try:
            while (request := parse_request(buffer)) is not None:
                body, length = request
                buffer = buffer[length:]
                self._answer(connection, OK)  # before the events are looked at: Lambda waits for it
                yield from self._events(body)
        except RequestError as error:
            self.drop(error.reason)
            self._answer(connection, BAD)
            data = buffer = b""
        if data:
            self.connections[descriptor] = (connection, buffer)
            return
        if buffer or cut:
            self.drop("cut-off")
        self.connections.pop(descriptor)[0].close()

    @staticmethod
    def _answer(connection: "_socket.socket", answer: bytes) -> None:
        try:
            connection.send(answer)
        except OSError:  # nobody waits for it any more
            return

    def _events(self, body: bytes) -> Iterator[dict[str, Any]]:
        try:
            batch = json.loads(body)
        except (ValueError, RecursionError):
            batch = None
        if not isinstance(batch, list):
            self.drop("not-a-batch")
            return
        for event in batch:
            self.seen += 1
            if isinstance(event, dict) and isinstance(event.get("type"), str):
                yield event
            else:
                self.drop("not-an-event", seen=False)

    def drop(self, reason: str, *, seen: bool = True) -> None:
        """Count what could not be used; ``seen``: it has not been counted as seen yet."""
        self.seen += seen
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
