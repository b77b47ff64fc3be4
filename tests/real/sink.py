"""The other end of what a function sends: a server that answers slowly, and writes down what truly came, and when.

    python -m tests.real.sink --log FILE [--delay REGEX=SECONDS …] [--status REGEX=CODE …] [--answer REGEX=TEXT …]

In: HTTP/1.1 on one port of 127.0.0.1; TCP on a second one, where nothing is ever answered; UDP datagrams on a third.
Out: the three ports as a line of JSON on standard output, and a line of JSON in FILE per fact. Times are Unix seconds:
`arrived` when the last byte of a body was here, `answered` when the answer had been written (`begun_s`: just before),
`closed` when the client had closed. `names` are the words `order-N` in what came, unpacked. A path with "stream" in it
is answered with server-sent events, which never end.
"""

import argparse
import contextlib
import itertools
import json
import re
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from tests.real.bodies import chunks, names_in, unpacked

SO_TIMESTAMP = 29  # Linux's; not in the socket module
ANSWER = json.dumps({"status": 1, "ok": True, "err": 0, "id": "0" * 32, "result": {"uuid": "1"}})


class Rules(NamedTuple):
    """What a path is answered with: the last rule that matches counts."""

    delays: list[tuple[str, str]]
    statuses: list[tuple[str, str]]
    answers: list[tuple[str, str]]


class Log:
    """One line per fact, written whole, from any thread."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def number(self) -> int:
        """Return a number that no other request has."""
        return next(self._numbers)

    def write(self, fact: str, number: int, **more: Any) -> None:
        line = json.dumps({"fact": fact, "number": number, "at_s": time.time(), **more})
        with self._lock:
            self._file.write(line + "\n")


def last_match(rules: list[tuple[str, str]], path: str, default: str) -> str:
    """Return what the last rule says whose pattern is found in the path."""
    return next((value for pattern, value in reversed(rules) if re.search(pattern, path)), default)


def http_handler(rules: Rules, log: Log) -> type[BaseHTTPRequestHandler]:
    """Make the class that answers HTTP by these rules."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def body(self) -> bytes:
            if self.headers.get("transfer-encoding") == "chunked":
                return b"".join(chunks(self.rfile))
            return self.rfile.read(int(self.headers.get("content-length") or 0))

        def answer(self) -> None:
            number = log.number()
            body = unpacked(self.body(), self.headers.get("content-encoding"))
            log.write("arrived", number, path=self.path, bytes=len(body), names=names_in(body + self.path.encode()))
            time.sleep(float(last_match(rules.delays, self.path, "0")))
            begun_s = time.time()
            try:
                self.stream() if "stream" in self.path else self.whole()
            except OSError:  # a client that was ended does not wait
                self.close_connection = True
            else:
                log.write("answered", number, begun_s=begun_s)

        def whole(self) -> None:
            text = last_match(rules.answers, self.path, ANSWER).encode()
            self.send_response(int(last_match(rules.statuses, self.path, "200")))
            self.send_header("content-type", "application/json")
            self.send_header("etag", '"0"')
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text if self.command != "HEAD" else b"")

        def stream(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            event = b'event: put\ndata: {"path": "/", "data": {"flags": {}, "segments": {}}}\n\n'
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            while True:
                time.sleep(3600)

        do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815 -- the names are http.server's

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name is http.server's
            """Say nothing: the log has it."""

    return Handler


def swallow(connection: socket.socket, number: int, log: Log) -> None:
    """Read until the client closes, and answer nothing."""
    with connection, contextlib.suppress(OSError):
        while data := connection.recv(65536):
            log.write("arrived", number, path="tcp", bytes=len(data), names=names_in(data))
    log.write("closed", number)


def serve_tcp(listener: socket.socket, log: Log) -> None:
    """Take connections that are never answered."""
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=swallow, args=(connection, log.number(), log), daemon=True).start()


def serve_udp(receiver: socket.socket, log: Log) -> None:
    """Take datagrams; nothing is answered, so each is over as it comes: by the kernel's clock, as it queues them."""
    receiver.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMP, 1)
    while True:
        data, extra, _, _ = receiver.recvmsg(65536, 64)
        seconds, micros = struct.unpack("ll", extra[0][2][:16])
        at_s = seconds + micros / 1e6
        number = log.number()
        log.write("arrived", number, at_s=at_s, path="udp", bytes=len(data), names=names_in(data))
        log.write("answered", number, at_s=at_s, begun_s=at_s)


def rule(text: str) -> tuple[str, str]:
    """Return REGEX=VALUE as a pair."""
    pattern, _, value = text.rpartition("=") if "{" not in text else text.partition("=")
    return pattern, value


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--log", type=Path, required=True)
    for name in ("--delay", "--status", "--answer"):
        parser.add_argument(name, type=rule, action="append", default=[])
    options = parser.parse_args()
    log = Log(options.log)
    http = ThreadingHTTPServer(
        ("127.0.0.1", 0), http_handler(Rules(options.delay, options.status, options.answer), log)
    )
    tcp = socket.create_server(("127.0.0.1", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    threading.Thread(target=serve_tcp, args=(tcp, log), daemon=True).start()
    threading.Thread(target=serve_udp, args=(udp, log), daemon=True).start()
    ports = {"http": http.server_port, "tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1]}
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    http.serve_forever()


if __name__ == "__main__":
    main()
