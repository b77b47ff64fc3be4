"""A Runtime API that a test commands: it accepts connections and says exactly the bytes that the test wants."""

import json
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_S = 20.0


def answer(body: bytes = b"{}", status: str = "200 OK", headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status.encode(), headers, len(body), body)


def event(kind: str, **fields: object) -> bytes:
    return json.dumps({"eventType": kind, **fields}, separators=(",", ":")).encode()


REGISTERED = answer(
    b'{"functionName":"f","functionVersion":"$LATEST","handler":"app.handler"}',
    headers=b"Lambda-Extension-Identifier: id-1\r\n",
)
INVOKE = answer(event("INVOKE", requestId="r-1", deadlineMs=1_700_000_000_000, invokedFunctionArn="arn:f"))
SHUTDOWN = answer(event("SHUTDOWN", shutdownReason="spindown", deadlineMs=1_700_000_000_000))


class Request:
    """What came in: the request line, its headers in lower case, and the body."""

    def __init__(self, head: str, body: bytes) -> None:
        self.line, *lines = head.split("\r\n")
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.body = body


class Peer:
    """One accepted connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.connection.settimeout(LIMIT_S)
        self.buffer = b""

    def request(self) -> Request | None:
        """Return the next request, None once the other side has hung up."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._read():
                return None
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        request = Request(head.decode(), b"")
        length = int(request.headers.get("content-length", "0"))
        while len(rest) < length:
            if not self._read():
                return None
            rest = self.buffer.partition(b"\r\n\r\n")[2]
        request.body, self.buffer = rest[:length], rest[length:]
        return request

    def _read(self) -> bool:
        data = self.connection.recv(65_536)
        self.buffer += data
        return bool(data)

    def say(self, *parts: bytes) -> None:
        for part in parts:
            self.connection.sendall(part)

    def expect(self, path: str) -> Request:
        """Return the next request, which must be for this path."""
        request = self.request()

        assert request is not None, f"it hung up instead of asking for {path}"
        assert path in request.line
        return request

    def close(self) -> None:
        self.connection.close()


class Api:
    """The listening side."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(LIMIT_S)
        host, port = self.listener.getsockname()
        self.address = f"{host}:{port}"
        self.peers: list[Peer] = []
        self.at_the_end: list[Callable[[], None]] = []

    def accept(self) -> Peer:
        peer = Peer(self.listener.accept()[0])
        self.peers.append(peer)
        return peer

    def close(self) -> None:
        self.listener.close()
        for peer in self.peers:
            peer.close()
        for close in self.at_the_end:
            close()
