"""A small HTTP/1.1 server: requests in, replies out, one thread per connection.

In: a function from Request to Reply. Out: an address. Knows nothing of Lambda; a reply may also be a
connection reset, for the tests that want one.
"""

import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Request(NamedTuple):
    """One request, read to its end."""

    method: str
    path: str
    headers: Mapping[str, str]  # looked up without case
    body: bytes
    arrived_mono_ns: int  # its headers were there
    read_mono_ns: int  # its body was there


class Reply(NamedTuple):
    """One answer; ``reset`` closes the connection with a TCP reset instead."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}
    reset: bool = False


class Gone(Exception):  # noqa: N818 - it ends a wait, it is no failure
    """The one who asked is no longer part of the sandbox: close the connection without an answer."""


Answer = Callable[[Request], Reply]


class Server:
    """Serves until ``stop``; waiting requests do not hold it up, since its threads are daemons."""

    def __init__(self, answer: Answer, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self._http = _HTTPServer(address, _handler_for(answer))
        host, port = self._http.server_address[:2]
        self.address = f"{host if isinstance(host, str) else host.decode()}:{port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Take no further connection."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client went away mid-request, as killed processes do; show what is a bug."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


def _handler_for(answer: Answer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # Head and body are two writes; Nagle would hold the second for 40 ms.

        def _serve(self) -> None:
            try:
                reply = answer(self._request())
            except Gone:
                self.close_connection = True
                return
            if reply.reset:
                self._reset()
            else:
                self._send(reply)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the base class looks for these names

        def _request(self) -> Request:
            arrived = time.monotonic_ns()
            chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
            body = self._chunks() if chunked else self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return Request(self.command, self.path, self.headers, body, arrived, time.monotonic_ns())  # type: ignore[arg-type]  # Message looks up like a Mapping

        def _chunks(self) -> bytes:
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass  # Trailers: Lambda's streaming errors; nobody here needs them.
            return body

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for key, value in reply.headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def _reset(self) -> None:
            set_reset_on_close(self.connection)
            os.close(self.connection.detach())  # At once: the server's own way out would send a FIN first.
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name for it
            """Log nothing: the journal has it all."""

    return Handler


def set_reset_on_close(connection: socket.socket) -> None:
    """Make the close of this connection a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
