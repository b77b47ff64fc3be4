"""One HTTP exchange that never waits. In: a peer and a request. Out: an answer, sooner or later, or Failed.

A step does what can be done at once; the caller polls in between, so a collector that is slow, silent or gone costs
the function nothing, nor does a name that nobody knows. ``http.client`` blocks, and costs 31 ms of import.
"""

import _socket
import errno
import os
import select
from typing import Any

from afterglow.peer import Failed, Peer, Way
from afterglow.runtime_api import Answer, ApiError, parse_answer

__all__ = ["Exchange", "Failed"]

SEND_BYTES = 65_536
LARGEST_ANSWER_BYTES = 65_536


class Exchange:
    """Find the way, connect, shake hands (https), send, receive. Poll ``fileno`` for ``mask`` between two steps."""

    def __init__(self, peer: Peer, request: bytes) -> None:
        self.peer = peer
        self.mask = select.POLLIN
        self._left = memoryview(request)
        self._received = b""
        self._sock: Any = None
        self._tls: Any = None  # the context, as long as it is to be applied
        self._shaking_hands = False

    def fileno(self) -> int:
        """Return what to poll."""
        return self.peer.fileno() if self._sock is None else int(self._sock.fileno())

    def step(self, now_ns: int) -> Answer | None:
        """Do what can be done now; return the answer once it is there."""
        try:
            return self._advance(now_ns)
        except BlockingIOError:
            return None
        except (OSError, ApiError) as error:
            wants = type(error).__name__
            if wants in ("SSLWantReadError", "SSLWantWriteError"):
                self.mask = select.POLLIN if wants == "SSLWantReadError" else select.POLLOUT
                return None
            raise self._failed(str(error)) from None

    def abandon(self) -> None:
        """Let go of a connection that has led to nothing; another address may."""
        if self._sock is not None:
            if not self._received:
                self.peer.failed()
            self._sock.close()

    def _advance(self, now_ns: int) -> Answer | None:
        if self._sock is None:
            way = self.peer.way(now_ns)
            if way is None:
                return None
            self._connect(way)
        if self._tls is not None:
            self._wrap()
        if self._shaking_hands:
            self._sock.do_handshake()
            self._shaking_hands = False
        self._send()
        return self._receive()

    def _connect(self, way: Way) -> None:
        self._sock = _socket.socket(way.family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
        self._tls = way.tls
        self.mask = select.POLLOUT
        result = self._sock.connect_ex(way.target)
        if result not in (0, errno.EINPROGRESS):
            raise self._failed(os.strerror(result))  # as an OSError, EAGAIN of a full backlog would mean "wait"

    def _wrap(self) -> None:
        """Begin TLS; only once the connection stands, since SSLSocket looks for that."""
        import socket  # noqa: PLC0415 - the ssl module has imported it

        problem = self._sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if problem:
            raise OSError(problem, os.strerror(problem))
        try:
            self._sock.getpeername()
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                raise BlockingIOError from None
            raise
        context, self._tls = self._tls, None
        plain = socket.socket(fileno=self._sock.detach())
        plain.setblocking(False)
        host = self.peer.address.host
        self._sock = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        self._shaking_hands = True

    def _send(self) -> None:
        self.mask = select.POLLOUT
        while self._left:
            sent = self._sock.send(self._left[:SEND_BYTES])
            self._left = self._left[sent:]
        self.mask = select.POLLIN

    def _receive(self) -> Answer | None:
        data = self._sock.recv(SEND_BYTES)
        self._received += data
        answer = parse_answer(self._received)
        if answer is not None:
            self._sock.close()
            return answer[0]
        if not data or len(self._received) > LARGEST_ANSWER_BYTES:
            raise ApiError("hung up without an answer" if not data else "an answer without an end")
        return None

    def _failed(self, words: str) -> Failed:
        self.abandon()
        return Failed(words)
