"""The extension as Lambda starts it: a process of its own, with a test that plays Lambda and the hook."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.unit.sandbox.api_server import REGISTERED, SHUTDOWN, Api, Peer, answer, event

import afterglow
from afterglow.boot import hook_address
from afterglow_layer.native import launcher_path
from afterglow_layer.rie import host_arch

PACKAGE = Path(afterglow.__file__).parent
BOOT = "import sys; sys.path.insert(0, sys.argv[1]); import afterglow.boot; afterglow.boot.main(sys.argv[2:])"
LAUNCHER = launcher_path(host_arch())
LIMIT_S = 30.0


def boot_command(root: Path = PACKAGE.parent) -> list[str]:
    """Return what starts boot from the package below ``root``."""
    return [sys.executable, "-I", "-S", "-c", BOOT, str(root)]


class Extension:
    """A running extension, and the connection that it has registered on. ``before``: a command that becomes it."""

    def __init__(
        self,
        api: Api,
        folder: Path,
        *,
        root: Path = PACKAGE.parent,
        stdout: int = -1,
        launched: bool = False,
        before: Sequence[str] = (),
        **env: str,
    ) -> None:
        self.api = api
        self.launched = launched
        self.records_path = folder / "records"
        variables = {"AWS_LAMBDA_RUNTIME_API": api.address, "AFTERGLOW_TELEMETRY": "off"}
        variables |= {"AFTERGLOW_RECORDS_FILE": str(self.records_path), **env}
        self.process = subprocess.Popen(
            [*before, *([str(LAUNCHER)] if launched else []), *boot_command(root)],
            env=variables,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        api.at_the_end.append(self.kill)
        self.hooks: list[socket.socket] = []
        self.peer: Peer | None = None

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()
        for hook in self.hooks:
            hook.close()

    def register(self, said: bytes = REGISTERED) -> Peer:
        """Take the connection, answer the register call, and wait for the first /next."""
        self.peer = self.api.accept()
        self.peer.expect("/register")
        self.peer.say(said)
        self.peer.expect("/event/next")
        return self.peer

    def refuse(self, said: bytes) -> Peer:
        """Answer each register call like this: the launcher leaves what it cannot use to Python, which calls anew."""
        if self.launched:
            self._refuse_once(said).close()
        self.peer = self._refuse_once(said)
        return self.peer

    def _refuse_once(self, said: bytes) -> Peer:
        peer = self.api.accept()
        peer.expect("/register")
        peer.say(said)
        return peer

    def tell(self, said: bytes, *, next_too: bool = True) -> None:
        """Answer the pending /next, and wait for the one that follows it."""
        assert self.peer is not None
        self.peer.say(said)
        if next_too:
            self.peer.expect("/event/next")

    def invoke(self, request_id: str, **fields: object) -> None:
        self.tell(answer(event("INVOKE", requestId=request_id, deadlineMs=4_000_000_000_000, **fields)))

    def shut_down(self) -> tuple[str, str]:
        """Send SHUTDOWN; return what stands on stdout and stderr when the process has ended with status 0."""
        self.tell(SHUTDOWN, next_too=False)
        return self.end()

    def end(self, status: int = 0) -> tuple[str, str]:
        """Wait for the end; return what stands on stdout and stderr."""
        out, errors = self.process.communicate(timeout=LIMIT_S)

        assert status == self.process.returncode, errors
        return out or "", errors

    def said(self) -> str:
        """Wait for a line on stderr."""
        assert self.process.stderr
        return self.process.stderr.readline()

    def hook(self) -> socket.socket:
        """Connect as a hook does."""
        hook = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.hooks.append(hook)
        hook.settimeout(LIMIT_S)
        hook.connect(hook_address(self.api.address))
        return hook

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Return what the records file holds of one kind."""
        if not self.records_path.exists():
            return []
        documents = [json.loads(line) for line in self.records_path.read_text().splitlines()]
        return [document for document in documents if document["afterglow"] == kind]

    def until_told(self, request_id: str) -> None:
        """Wait until an invocation's record has been written."""
        by_s = time.monotonic() + LIMIT_S
        while request_id not in [record["request_id"] for record in self.records("invocation")]:
            assert time.monotonic() < by_s, f"{request_id} has not been told"
            time.sleep(0.002)

    def dropped(self, kind: str) -> dict[str, int]:
        """Return the ledger's drops of one kind."""
        reasons: dict[str, int] = {}
        for loss in self.records("loss"):
            if loss["of"] == kind:
                assert loss["seen"] == loss["emitted"] + sum(loss["dropped"].values())
                reasons |= loss["dropped"]
        return reasons


def hung_up(hook: socket.socket) -> bool:
    """Wait until the extension says something or hangs up; return whether it hung up."""
    try:
        return hook.recv(1) == b""
    except ConnectionResetError:  # it never took the connection in, or left something unread
        return True


def broken_copy(folder: Path, module: str, source: str) -> Path:
    """Return a folder that holds the package with one module of other content."""
    shutil.copytree(PACKAGE, folder / "afterglow", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "afterglow" / module).write_text(source)
    return folder


def hello(**changed: object) -> bytes:
    fact = {"t": "hello", "v": 1, "python": "3.11", "at": 1, "took": 2, "cpu": 3, "root": None}
    return json.dumps({**fact, **changed}).encode()
