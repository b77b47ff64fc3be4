"""A real `afterglow collect` process, and clients with real sockets."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tests.unit.collect.samples import body

from afterglow.records import Environment, Record
from afterglow_collector.collect.outbox import Outbox

LIMIT_S = 60
METRIC = re.compile(r"^afterglow_collector_(\w+?)(\{[^}]*\})? (\S+)$", re.MULTILINE)


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    headers: dict[str, str]
    text: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=LIMIT_S)
        self.path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Client:
    """One kept-alive connection."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection

    def ask(self, method: str, path: str, text: bytes | None = None, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, text, named)
        with self.connection.getresponse() as response:
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def post(self, seq: int, text: bytes, **headers: str) -> Answer:
        return self.ask("POST", "/v1/records", text, Afterglow_Seq=str(seq), **headers)

    def send(self, seq: int, *records: Record, env: Environment | None = None) -> Answer:
        return self.post(seq, body(*records, env=env))

    def close(self) -> None:
        self.connection.close()


class Collector:
    """One server on one data folder; ``start`` again after an end."""

    def __init__(self, data: Path, *options: str, environ: dict[str, str] | None = None) -> None:
        self.data = data
        self.socket = data.with_suffix(".sock")
        self.options = options
        self.environ = {**os.environ, **(environ or {})}
        self.process: subprocess.Popen[bytes] | None = None
        self.clients: list[Client] = []
        self.address = ""
        self.log = data.with_suffix(".log")

    def start(self) -> "Collector":
        """Start, and wait until it listens."""
        listen = [] if "--listen" in self.options else ["--listen", f"unix:{self.socket}"]
        sink = [] if "--sink" in self.options else ["--sink", f"file:{self.data.with_suffix('.out')}"]
        command = [sys.executable, "-m", "afterglow_layer", "collect", "--data", str(self.data)]
        before = len(self.said())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*command, *listen, *sink, *self.options], stderr=log, env=self.environ)
        while (found := re.search(r"listening on (\S+)", self.said()[before:])) is None:
            try:
                self.process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"it did not start:\n{self.said()[before:]}")
        self.address = found[1]
        return self

    def said(self) -> str:
        """What it logged so far."""
        return self.log.read_text() if self.log.exists() else ""

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def client(self) -> Client:
        """A new connection."""
        if self.address.startswith("unix:"):
            connection: http.client.HTTPConnection = UnixConnection(self.socket)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        self.clients.append(Client(connection))
        return self.clients[-1]

    def connect(self) -> socket.socket:
        """A bare connection, for what is no HTTP."""
        self.clients.append(self.client())
        connection = self.clients[-1].connection
        connection.connect()
        return connection.sock

    def metrics(self, **headers: str) -> dict[str, float]:
        """Its own figures, summed over their labels."""
        figures: dict[str, float] = {}
        for name, _, value in METRIC.findall(self.client().ask("GET", "/metrics", **headers).text.decode()):
            figures[name] = figures.get(name, 0) + float(value)
        return figures

    @property
    def running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process

    def kill(self) -> None:
        """End it as a crash would."""
        self.running.kill()
        self.running.wait(LIMIT_S)

    def stop(self, *signals: int) -> int:
        """Stop it in order; return its exit status."""
        for number in signals or (signal.SIGTERM,):
            self.running.send_signal(number)
        return self.running.wait(LIMIT_S)

    def end(self) -> None:
        """Let nothing of it behind."""
        for client in self.clients:
            client.close()
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def published(self, kind: str = "emf") -> list[Any]:
        """What stands in its outbox, once it has ended."""
        outbox = Outbox(self.data / "outbox")
        entries = outbox.read(0, 1_000_000)
        outbox.close()
        return [json.loads(entry.payload) for entry in entries if entry.kind == kind]

    def totals(self, metric: str = "Invocations") -> float:
        """The sum of a count over all that was published."""
        return sum(document.get(metric, 0) for document in self.published())
