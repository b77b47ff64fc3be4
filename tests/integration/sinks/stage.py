"""Real servers for the tests of the sinks: one in front of moto that fails on demand, an OTLP receiver, listeners."""

import gzip
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

LIMIT_S = 20.0


class Fault(NamedTuple):
    """An answer instead of the real one. ``action`` is the end of X-Amz-Target, or of the path."""

    action: str
    status: int
    code: str
    headers: dict[str, str]


class Request(NamedTuple):
    """What came in."""

    action: str
    headers: dict[str, str]
    body: bytes

    @property
    def access_key(self) -> str:
        """The access key that the request was signed with."""
        return self.headers["Authorization"].partition("Credential=")[2].partition("/")[0]


class Front:
    """A real HTTP server in front of moto: answers with a fault while it has one for the action, else asks moto."""

    def __init__(self, behind: tuple[str, int]) -> None:
        self.behind = behind
        self.faults: list[Fault] = []
        self.answers: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.lock = threading.Lock()
        self.hold_at: tuple[str, int] | None = None
        self.holding, self.released = threading.Event(), threading.Event()

    def fail(self, action: str, status: int, code: str, *, after: int = 0, **headers: str) -> None:
        """Answer so to the next request of this action, after so many good ones."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.faults += [Fault(action, 200, "", {})] * after + [Fault(action, status, code, named)]

    def say(self, action: str, document: dict[str, Any]) -> None:
        """Answer every request of this action so: for services that moto has not got."""
        self.answers[action] = json.dumps(document).encode()

    def hold(self, action: str, after: int) -> None:
        """Leave a request of this action without an answer, after so many that had one, until ``released`` is set."""
        self.hold_at = action, after

    def _hold(self, action: str) -> None:
        if self.hold_at is not None and action == self.hold_at[0] and self.actions().count(action) > self.hold_at[1]:
            self.hold_at = None
            self.holding.set()
            self.released.wait(LIMIT_S)

    def actions(self) -> list[str]:
        return [request.action for request in self.requests]

    def fault_for(self, action: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if action.endswith(fault.action):
                    self.faults.remove(fault)
                    return fault
        return None

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        action = handler.headers.get("X-Amz-Target", handler.path).rpartition(".")[2]
        self.requests.append(Request(action, dict(handler.headers), body))
        self._hold(action)
        fault = self.fault_for(action)
        if fault is not None and fault.code:
            text = json.dumps({"__type": fault.code, "message": f"{fault.code} on demand"}).encode()
            reply(handler, fault.status, text, {"Content-Type": "application/x-amz-json-1.1", **fault.headers})
            return
        if action in self.answers:
            reply(handler, 200, self.answers[action], {"Content-Type": "application/x-amz-json-1.1"})
            return
        connection = http.client.HTTPConnection(*self.behind, timeout=LIMIT_S)
        try:
            connection.request(handler.command, handler.path, body, dict(handler.headers))
            answer = connection.getresponse()
            reply(handler, answer.status, answer.read(), {"Content-Type": answer.headers.get("Content-Type", "")})
        finally:
            connection.close()


class OtlpReceiver:
    """Takes OTLP over HTTP, and keeps what it took; ``answers`` come before 200, one per request."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes, dict[str, str]]] = []
        self.taken: list[tuple[str, bytes]] = []
        self.headers: list[dict[str, str]] = []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self.headers.append(dict(handler.headers))
        status, text, headers = self.answers.pop(0) if self.answers else (200, b"", {})
        if status == 200:
            assert handler.headers["Content-Encoding"] == "gzip"
            self.taken.append((handler.path, gzip.decompress(body)))
        reply(handler, status, text, headers)


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def serving(what: Any) -> Iterator[str]:
    """Serve it on a port of this machine, and give the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            what.answer(self)

        def do_GET(self) -> None:
            what.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class LineListener:
    """Takes lines over TCP; ``hang_up`` closes its connection, ``stop`` the port as well."""

    def __init__(self, port: int = 0) -> None:
        self.lines: list[str] = []
        self.came = threading.Condition()
        self.server = socket.create_server(("127.0.0.1", port))
        self.port = self.server.getsockname()[1]
        self.connections: list[socket.socket] = []
        self.thread = threading.Thread(target=self._accept)
        self.thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.connections.append(connection)
            with suppress(OSError), connection.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    with self.came:
                        self.lines.append(line)
                        self.came.notify_all()

    def wait_for(self, count: int) -> list[str]:
        with self.came:
            assert self.came.wait_for(lambda: len(self.lines) >= count, LIMIT_S), f"only {len(self.lines)} lines came"
            return list(self.lines)

    def hang_up(self) -> None:
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def stop(self) -> None:
        with suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.hang_up()
        self.thread.join(LIMIT_S)


def datagrams(listener: socket.socket, count: int) -> list[bytes]:
    """Receive so many datagrams."""
    listener.settimeout(LIMIT_S)
    return [listener.recv(65_536) for _ in range(count)]


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
