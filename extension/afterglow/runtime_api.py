"""The Extensions API over one keep-alive HTTP/1.1 connection, with nothing imported but ``_socket``.

In: ``host:port`` from AWS_LAMBDA_RUNTIME_API. Out: register's answer, then one event per ``/next``.
This module is on the boot path: ``http.client`` would cost 31 ms of cold start here, this costs under one.
Facts of the protocol: Lambda docs, "Lambda Extensions API", version 2020-01-01.
"""

import _socket

_PREFIX = b"/2020-01-01/extension/"
_RECEIVE_BYTES = 65_536
_LARGEST_ANSWER_BYTES = 8_388_608  # an event is under 2 KB; past this the peer is no Runtime API


class ApiError(Exception):
    """The Runtime API could not be reached, or answered what the protocol does not know."""


class Answer:
    """One HTTP response: status code, headers (lower-case names) and body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[bytes, bytes], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


def parse_answer(data: bytes) -> tuple[Answer, int] | None:
    """Return the first whole response in ``data`` and its length in bytes; None while it is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > _LARGEST_ANSWER_BYTES:
            raise ApiError("an answer without an end to its headers")
        return None
    status_line, *lines = data[:end].split(b"\r\n")
    parts = status_line.split(b" ", 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
        raise ApiError(f"not an HTTP/1.1 answer: {status_line[:80]!r}")
    headers = {}
    for line in lines:
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    body = _body(data, end + 4, headers)
    if body is None:
        return None
    return Answer(int(parts[1]), headers, body[0]), body[1]


def _body(data: bytes, start: int, headers: dict[bytes, bytes]) -> tuple[bytes, int] | None:
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        return _chunked(data, start)
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > _LARGEST_ANSWER_BYTES:
        raise ApiError(f"content-length {length[:20]!r}")
    end = start + int(length)
    return (data[start:end], end) if len(data) >= end else None


def _chunked(data: bytes, at: int) -> tuple[bytes, int] | None:
    """RFC 9112 §7.1: Go's server uses it as soon as an answer outgrows its buffer."""
    body = b""
    while True:
        line_end = data.find(b"\r\n", at)
        if line_end < 0:
            return None
        try:
            size = int(data[at:line_end].split(b";")[0], 16)
        except ValueError:
            raise ApiError(f"chunk size {data[at:line_end][:20]!r}") from None
        if not 0 <= size <= _LARGEST_ANSWER_BYTES:
            raise ApiError(f"a chunk of {size} bytes")
        at = line_end + 2 + size + 2
        if len(data) < at:
            return None
        body += data[line_end + 2 : line_end + 2 + size]
        if size == 0:
            return body, at


class RuntimeApi:
    """A connection that is either idle or has one ``/next`` on the wire; survives into the fallback loop."""

    __slots__ = ("_buffer", "address", "extension_id", "latest", "pending", "sock")

    def __init__(self, address: str, sock: "_socket.socket | None" = None) -> None:
        self.address = address
        self.extension_id = b""
        self.pending = False  # a /next is on the wire
        self.latest = b""  # the body of the last answer
        self._buffer = b""
        self.sock = self._connected() if sock is None else sock

    def _connected(self) -> "_socket.socket":
        host, _, port = self.address.rpartition(":")
        sock = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        try:
            sock.connect((host, int(port)))
        except (OSError, ValueError, OverflowError) as error:
            sock.close()
            raise ApiError(f"cannot connect to AWS_LAMBDA_RUNTIME_API={self.address!r}: {error}") from None
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        return sock

    def register(self, name: bytes, events: bytes) -> Answer:
        """Register for ``events`` (a JSON list); keep the identifier that later calls must carry."""
        body = b'{"events":' + events + b"}"
        self._send(
            b"POST " + _PREFIX + b"register",
            b"Lambda-Extension-Name: " + name + b"\r\nLambda-Extension-Accept-Feature: accountId\r\n",
            body,
        )
        answer = self.receive()
        self.extension_id = answer.headers.get(b"lambda-extension-identifier", b"")
        return answer

    def send_next(self) -> None:
        """Put ``/next`` on the wire: the environment may freeze from here on, and does so in the answer's stead."""
        self._send(
            b"GET " + _PREFIX + b"event/next",
            b"Lambda-Extension-Identifier: " + self.extension_id + b"\r\n",
            b"",
        )
        self.pending = True

    def resume(self, unread: bytes, *, pending: bool) -> None:
        """Go on where somebody else has read up to ``unread`` from this connection."""
        self._buffer, self.pending = unread, pending

    def reconnect(self) -> None:
        """Begin anew on a connection of its own; ApiError when nobody listens there any more."""
        self._hang_up()
        self.pending = False
        self.sock = self._connected()

    def _hang_up(self) -> None:
        self.sock.close()
        self._buffer = b""

    def _send(self, request_line: bytes, headers: bytes, body: bytes) -> None:
        if self.sock.fileno() < 0:  # the last answer said that the connection ends with it
            self.sock = self._connected()
        host = self.address.encode()
        length = str(len(body)).encode()
        self.sock.sendall(
            request_line
            + b" HTTP/1.1\r\nHost: "
            + host
            + b"\r\nContent-Length: "
            + length
            + b"\r\n"
            + headers
            + b"\r\n"
            + body
        )

    def receive(self) -> Answer:
        """Wait for the answer to what was sent. There is no timeout: a freeze can last for hours."""
        while True:
            answer = self.take()
            if answer is not None:
                return answer
            self.read_once()

    def read_once(self) -> None:
        """Read what the socket has (blocks when it has nothing); ApiError when the peer hung up."""
        data = self.sock.recv(_RECEIVE_BYTES)
        if not data:
            raise ApiError("the Runtime API closed the connection")
        self._buffer += data

    def take_now(self) -> Answer | None:
        """Return the answer if it has arrived by now; never waits."""
        try:
            data = self.sock.recv(_RECEIVE_BYTES, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        if not data:
            raise ApiError("the Runtime API closed the connection")
        self._buffer += data
        return self.take()

    def take(self) -> Answer | None:
        """Return a whole answer if one has arrived."""
        parsed = parse_answer(self._buffer)
        if parsed is None:
            return None
        answer, length = parsed
        self._buffer = self._buffer[length:]
        self.pending = False
        self.latest = answer.body
        if answer.headers.get(b"connection", b"").lower() == b"close":
            self._hang_up()
        return answer
