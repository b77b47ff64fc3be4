"""The service that the examples call: answers after a round trip's time, and notes what arrived when.

In: POSTs with a JSON body that may name an order. Out: ``arrivals``, with times in Unix epoch milliseconds.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

ROUND_TRIP_S = 0.1  # a service on another continent


class Arrival(NamedTuple):
    """One call as the service saw it."""

    path: str
    order: int
    at_ms: float


class Endpoint(ThreadingHTTPServer):
    """The service, on a free port of this machine."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.arrivals: list[Arrival] = []

    @property
    def url(self) -> str:
        """Where to call it."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        """Note the order, take a round trip's time, and say that it is stored."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "order" in body:
            self.server.arrivals.append(Arrival(self.path, body["order"], time.time() * 1000))
        time.sleep(ROUND_TRIP_S)
        answer = json.dumps({"token": "t-1", "stored": True}).encode()
        try:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the caller's environment was shut down while it waited

    def log_message(self, *_: object) -> None:
        """Say nothing: the demo tells what arrived."""


@contextmanager
def serving() -> Iterator[Endpoint]:
    """Serve for as long as the context lasts."""
    with Endpoint() as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever)
        thread.start()
        try:
            yield endpoint
        finally:
            endpoint.shutdown()
            thread.join()
