"""One HTTP exchange that never waits. In: an address and a request. Out: a status code, sooner or later, or Failed.

A step does what the socket can do at once; the caller polls in between, so a collector that is slow, silent or
gone costs the function nothing. ``http.client`` blocks, and costs 31 ms of import.
"""

import _socket
import errno
import os
import select
from typing import Any

from afterglow.address import Address
from afterglow.runtime_api import ApiError, parse_answer

SEND_BYTES = 65_536
LARGEST_ANSWER_BYTES = 65_536


class Failed(Exception):  # noqa: N818 - it says what happened, and is no error of ours
    """The exchange came to nothing; it can be tried again."""


class Exchange:
    """Connect, shake hands (https), send, receive."""

    def __init__(self, address: Address, request: bytes) -> None:
        self.address = address
        self._left = memoryview(request)
        self._received = b""
        self._tls: Any = None
        self.mask = select.POLLOUT
        self.sock = self._opened()

    def _opened(self) -> Any:
        if self.address.scheme == "https":
            return self._opened_with_tls()
        family = _socket.AF_UNIX if self.address.scheme == "unix" else _socket.AF_INET
        sock = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK)
        self._connect(sock)
        return sock

    def _opened_with_tls(self) -> Any:
        import socket  # noqa: PLC0415 - https and its 20 ms of imports are paid for by those who ask for it
        import ssl  # noqa: PLC0415

        sock = socket.socket()
        sock.setblocking(False)
        self._connect(sock)
        context = ssl.create_default_context()
        self._tls = context.wrap_socket(sock, server_hostname=self.address.host, do_handshake_on_connect=False)
        return self._tls

    def _connect(self, sock: Any) -> None:
        target: Any = self.address.host if self.address.scheme == "unix" else (self.address.host, self.address.port)
        try:
            result = sock.connect_ex(target)
        except OSError as error:  # a name that does not resolve
            sock.close()
            raise Failed(f"connect: {error}") from None
        if result not in (0, errno.EINPROGRESS):
            sock.close()
            raise Failed(f"connect: {os.strerror(result)}")

    def fileno(self) -> int:
        """Return what to poll, for ``mask``."""
        return int(self.sock.fileno())

    def step(self) -> int | None:
        """Do what can be done now; return the answer's status once it is there."""
        try:
            return self._advance()
        except BlockingIOError:
            return None
        except (OSError, ApiError) as error:
            wants = type(error).__name__
            if wants in ("SSLWantReadError", "SSLWantWriteError"):
                self.mask = select.POLLIN if wants == "SSLWantReadError" else select.POLLOUT
                return None
            self.close()
            raise Failed(f"{wants}: {error}") from None

    def _advance(self) -> int | None:
        if self._tls is not None:
            self._tls.do_handshake()
        while self._left:
            sent = self.sock.send(self._left[:SEND_BYTES])
            self._left = self._left[sent:]
        self.mask = select.POLLIN
        data = self.sock.recv(SEND_BYTES)
        self._received += data
        answer = parse_answer(self._received)
        if answer is not None:
            self.close()
            return answer[0].status
        if not data or len(self._received) > LARGEST_ANSWER_BYTES:
            raise ApiError("hung up without an answer" if not data else "an answer without an end")
        return None

    def close(self) -> None:
        """Let go of the connection."""
        self.sock.close()
