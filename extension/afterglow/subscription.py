"""Subscribing to the Telemetry API: sent from the boot path, answered whenever it suits Lambda.

In: the Runtime API's address and our identifier. Out: a listening socket and a request on the wire. It goes
out right after the first ``/next``: later, Lambda may have closed the door (subscriptions are taken during Init
only), earlier it would cost the cold start. Only 200 is a subscription; 202 is RIE saying that it has no
Telemetry API. Facts: Lambda docs, "Lambda Telemetry API"; RIE 1.170.
"""

import _socket

from afterglow.runtime_api import Answer, ApiError, parse_answer

SCHEMAS = (b"2025-01-29", b"2022-12-13", b"2022-07-01")  # newest first
LISTEN_BACKLOG = 16
BUFFERING = b'{"maxItems":1000,"maxBytes":262144,"timeoutMs":25}'  # the smallest of each that Lambda takes
UNHURRIED = BUFFERING.replace(b"25}", b"1000}")
"""For Managed Instances, where no freeze holds batches back. RIE 1.170 hangs for good, its callers with it, when a
batch is due before the last one has been answered; after 25 ms that is so whenever all CPUs are busy."""


TYPE_CHECKING = False  # as in boot
if TYPE_CHECKING:
    Opened = tuple[_socket.socket | None, _socket.socket | None]
    """Listener and connection on which the launcher has asked already, in the words of ``_request``."""


class Subscription:
    """Where the subscription stands: asked, subscribed, or refused."""

    __slots__ = ("_buffer", "_buffering", "address", "extension_id", "listener", "schemas", "sock", "state")

    def __init__(
        self, address: str, extension_id: bytes, *, hurried: bool = True, opened: "Opened | None" = None
    ) -> None:
        self.address = address
        self.state = "asked"
        self.schemas = list(SCHEMAS)
        self._buffering = BUFFERING if hurried else UNHURRIED
        self._buffer = b""
        self.extension_id = extension_id
        self.sock: _socket.socket | None = None
        self.listener: _socket.socket | None = None
        if opened is None:
            self._open()
            return
        self.listener, self.sock = opened
        if self.sock is None:
            self.close("no-socket")

    def _open(self) -> None:
        try:
            listener = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
            listener.bind(("0.0.0.0", 0))  # noqa: S104 - Lambda calls us as sandbox.localdomain, not over loopback
            listener.listen(LISTEN_BACKLOG)
            self.listener = listener
            self._ask()
        except OSError:
            self.close("no-socket")

    def _ask(self) -> None:
        host, _, port = self.address.rpartition(":")
        sock = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        sock.connect((host, int(port)))
        sock.sendall(self._request())
        sock.setblocking(False)
        self.sock = sock
        self._buffer = b""

    def _request(self) -> bytes:
        own_port = str(self.listener.getsockname()[1]).encode() if self.listener is not None else b"0"
        body = (
            b'{"schemaVersion":"' + self.schemas[0] + b'","types":["platform"],"buffering":' + self._buffering
            + b',"destination":{"protocol":"HTTP","URI":"http://sandbox.localdomain:' + own_port + b'"}}'
        )  # fmt: skip
        return (
            b"PUT /2022-07-01/telemetry HTTP/1.1\r\nHost: " + self.address.encode()
            + b"\r\nContent-Type: application/json\r\nLambda-Extension-Identifier: " + self.extension_id
            + b"\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
        )  # fmt: skip

    def read(self) -> None:
        """Take in what has arrived of the answer; ask again with an older schema if this one was refused."""
        try:
            answer = self._answer()
            if answer is not None:
                self._judge(answer)
        except (OSError, ApiError):
            self.close("no-answer")

    def _answer(self) -> Answer | None:
        if self.sock is None:
            return None
        try:
            data = self.sock.recv(65_536)
        except BlockingIOError:
            return None
        if not data:
            raise ApiError("hung up")
        self._buffer += data
        parsed = parse_answer(self._buffer)
        return parsed[0] if parsed is not None else None

    def _judge(self, answer: Answer) -> None:
        self._drop_connection()
        if answer.status == 200:
            self.state = "subscribed"
        elif answer.status == 202:
            self.close("not-supported")
        elif 400 <= answer.status < 500 and len(self.schemas) > 1:
            del self.schemas[0]
            self._ask()
        else:
            self.close(f"refused-{answer.status}")

    def _drop_connection(self) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None

    def close(self, state: str) -> None:
        """Give up: nothing will come."""
        self.state = state
        self._drop_connection()
        if self.listener is not None:
            self.listener.close()
            self.listener = None
