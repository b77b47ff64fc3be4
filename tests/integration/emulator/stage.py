"""Files for a test to run: handlers, and extensions that are real executables. And RIE or its stand-in to run them."""

import contextlib
import http.client
import itertools
import json
import os
import socket
import stat
import sys
import tempfile
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from afterglow_layer.emulator import command
from afterglow_layer.emulator.front import INVOKE_PATH
from afterglow_layer.local.order import Order
from afterglow_layer.local.sandbox import Ports, Sandbox
from afterglow_layer.rie import find_rie

RUNTIME = [sys.executable, "-m", "awslambdaric"]
PROBE = Path(__file__).with_name("probe.py").read_text()
PATIENCE_S = 15.0

Said = dict[str, Any]

_numbers = itertools.count()


class Reply(NamedTuple):
    """What a caller gets over HTTP."""

    status: int
    body: bytes


def own_ports() -> Ports:
    """Return two free ports that no other test worker takes: below the range that the kernel hands out (ip(7))."""
    while True:
        first = 20_000 + (os.getpid() * 64 + next(_numbers) * 2) % 12_000
        with socket.socket() as one, socket.socket() as other, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", first))
            other.bind(("127.0.0.1", first + 1))
            return Ports(first, first + 1)


def write_handler(folder: Path, source: str) -> list[str]:
    """Write app.py; return the runtime's command."""
    (folder / "app.py").write_text(textwrap.dedent(source))
    return [*RUNTIME, "app.handler"]


def write_extension(folder: Path, name: str, source: str, *, may_run: bool = True) -> Path:
    """Write an executable: probe.py and then `source`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!{sys.executable} -IS\n{PROBE}\n{textwrap.dedent(source)}")
    path.chmod(stat.S_IRUSR | stat.S_IWUSR | (stat.S_IXUSR if may_run else 0))
    return path


class Platform:
    """A Lambda behind an HTTP port, `rie` or `builtin`, in the sandbox that `afterglow run` uses."""

    def __init__(self, kind: str, layer: Path, function: Path, runtime: list[str], *, timeout_s: int = 10) -> None:
        self.said: list[Said] = []
        self.log: list[str] = []
        self._grown = threading.Condition()
        self._ports = own_ports()
        self._sandbox = Sandbox(self._order(kind, layer, function, runtime, timeout_s), self._ports, "none")
        self._readers = [
            threading.Thread(target=self._read, args=(self._sandbox.stdout,)),
            threading.Thread(target=self._read, args=(self._sandbox.stderr,)),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> "Platform":  # noqa: PYI034 - Self came with 3.11
        self._sandbox.wait_until_up()
        return self

    def __exit__(self, *_: object) -> None:
        self._sandbox.close()
        for reader in self._readers:
            reader.join()
        self._sandbox.stdout.close()
        self._sandbox.stderr.close()

    def invoke(self, event: object = None, **headers: str) -> Reply:
        """Post one event and return the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._ports.invoke, timeout=60)
        connection.request("POST", INVOKE_PATH, json.dumps(event or {}), headers)
        try:
            response = connection.getresponse()
        except OSError as error:
            pytest.fail(f"no answer ({error}); the log:\n" + "\n".join(self.log))
        with response:
            reply = Reply(response.status, response.read())
        connection.close()
        return reply

    def shut_down(self) -> None:
        """End the environment in order, as SIGTERM to RIE does."""
        self._sandbox.stop()

    def wait_for(self, wanted: Callable[[Said], bool]) -> Said:
        """Return the first thing said that `wanted` accepts."""
        with self._grown:
            found = self._grown.wait_for(lambda: [said for said in self.said if wanted(said)], PATIENCE_S)
        assert found, "never said; the log:\n" + "\n".join(self.log)
        return found[0]

    def events(self, name: str) -> list[Said]:
        """Return the events that an extension says it got."""
        return [said for said in self.said if said.get("said") == "event" and said["probe"] == name]

    def _order(self, kind: str, layer: Path, function: Path, runtime: list[str], timeout_s: int) -> Order:
        environ = {
            "PATH": os.environ["PATH"],
            "_HANDLER": "app.handler",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout_s),
        }
        run_dir = tempfile.mkdtemp(prefix="afterglow-test-")
        return Order(_command(kind, runtime, self._ports), environ, str(function), str(layer), run_dir, -1, [])

    def _read(self, pipe: Any) -> None:
        for line in pipe:
            text = line.decode(errors="replace").rstrip("\n")
            with self._grown:
                self.log.append(text)
                if text.startswith('{"probe"'):
                    self.said.append(json.loads(text))
                self._grown.notify_all()


def _command(kind: str, runtime: list[str], ports: Ports) -> list[str]:
    front, api = f"127.0.0.1:{ports.invoke}", f"127.0.0.1:{ports.runtime_api}"
    if kind == "builtin":
        return command(runtime, front=front, runtime_api=api)
    flags = ["--log-level", "fatal", "--runtime-api-address", api, "--runtime-interface-emulator-address", front]
    return [str(find_rie(None)), *flags, *runtime]
