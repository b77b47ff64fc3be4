"""What the rivals are asked to do, so that it compares: the same Invocations, as the metrics that they contribute to.

In: a running rival. Out: records per CPU second and per second. statsd gets nine lines a record over TCP (it has no
answer to wait for: the last line's arrival is asked for at its management port); vmagent gets five samples a record.
"""

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench.collect_records import call, figures
from bench.collect_servers import Server, load

COUNTERS = ("Invocations", "ColdStarts", "Errors", "LingeringCount")
LIMIT_S = 120


def load_statsd(server: Server, seconds: float, batch: int, series: int) -> dict[str, Any]:
    """Send batches for some seconds, then wait until the last line has been counted."""
    chance = random.Random(1)
    bodies = [_lines(batch, number, chance) for number in range(min(series, 1_000))]
    began_s, sent = time.perf_counter(), 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT_S) as connection:
        while time.perf_counter() - began_s < seconds:
            connection.sendall(bodies[sent % len(bodies)])
            sent += 1
        connection.sendall(b"last:1|c\n")
        _wait_for_last(server.port + 1)
    return {"records": sent * batch, "seconds": time.perf_counter() - began_s}


def _lines(batch: int, series: int, chance: random.Random) -> bytes:
    lines: list[str] = []
    for _ in range(batch):
        lines += [f"function-{series}.{name}:1|c" for name in COUNTERS]
        lines += [f"function-{series}.{name}:{value:.3f}|ms" for name, value in figures(call(1, 1, chance)).items()]
    return ("\n".join(lines) + "\n").encode()


def _wait_for_last(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as manager:
        while True:
            manager.sendall(b"counters\n")
            answer = b""
            while b"END" not in answer:
                answer += manager.recv(65536)
            if b"last" in answer:
                return
            time.sleep(0.02)


def load_vmagent(server: Server, seconds: float, batch: int, series: int) -> dict[str, Any]:
    """Send batches for some seconds, each after the answer to the last on its connection."""
    words = {"connections": 32, "seconds": seconds, "batch": batch, "series": series, "form": "prometheus"}
    return load(port=server.port, **words)


class _Taker(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@contextmanager
def taker() -> Iterator[int]:
    """Run a server that takes what vmagent sends on; yield its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Taker)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
