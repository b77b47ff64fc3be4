"""The caller's end of a sandbox.

In: what to run. Out: RIE answering on a port, a freezer, and an end to it all. The sandbox itself, and the
cleaning up, are the keeper's (see ``keeper``).
"""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any, NamedTuple

import afterglow_layer
from afterglow_layer.failure import Failure
from afterglow_layer.local.cgroups import Home
from afterglow_layer.local.freezer import Freezer, choose
from afterglow_layer.local.init_watch import Ground, InitWatch
from afterglow_layer.local.oom_relief import OomRelief
from afterglow_layer.local.order import Order
from afterglow_layer.local.ports import Ports, listens

START_LIMIT_S = 20.0
STOP_LIMIT_S = 6.0  # RIE gives the environment 2 s to shut down.

NO_NAMESPACES = """\
this machine does not let Afterglow make a sandbox: {reason}
It takes a mount and a pid namespace: root, or user namespaces
(`sysctl -w kernel.unprivileged_userns_clone=1`;
on Ubuntu 24.04 `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`; in Docker, `--privileged`).
Where neither can be had, put the layer into AWS' own image: docs/local-run.md has the Dockerfile."""

_KEEPER = "import sys; sys.path.insert(0, sys.argv[1]); from afterglow_layer.local import keeper; keeper.main()"


class Kept(NamedTuple):
    """What the sandbox holds the function to: the kinds of cgroup, and why one is missing."""

    memory: str | None
    cpu: str | None
    problems: dict[str, str]
    surroundings: list[str]  # /tmp, /dev/shm, files, in words


class SandboxEnded(Exception):  # noqa: N818 - a fact about the sandbox; what it means is the caller's to say
    """RIE went, or never came; its log says why."""


class Sandbox:
    """One RIE with all that belongs to it, in namespaces of its own."""

    freezer: Freezer
    kept: Kept

    def __init__(self, order: Order, ports: Ports, freezer: str, init_limit_s: float | None = None) -> None:
        self.invoke_port = ports.invoke
        self.watch = InitWatch(init_limit_s)
        self._asked_freezer = freezer
        self._cores = order.cpu_cores
        self._relief: OomRelief | None = None
        self._said: dict[str, dict[str, Any]] = {}
        self._unread = b""
        log_read, log_write = os.pipe()
        self._process = _spawn_keeper(log_write)
        os.close(log_write)
        self.stdout: IO[bytes] = os.fdopen(log_read, "rb")
        self._tell_keeper(json.dumps(order._replace(log_fd=log_write)._asdict()))

    @property
    def stderr(self) -> IO[bytes]:
        """RIE's own log."""
        return _given(self._process.stderr)

    def wait_until_up(self, limit_s: float = START_LIMIT_S) -> None:
        """Return when RIE listens; SandboxEnded if it went, Failure if no sandbox can be made here."""
        give_up = time.monotonic() + limit_s
        while not {"up", "started"} <= self._said.keys():
            self._go_on(give_up)
            self._listen_to_keeper(0.1)
        self._take_hold()
        while not listens(self.invoke_port):
            self._go_on(give_up)
            time.sleep(0.002)
        self._go_on(give_up)  # It may be somebody else who listens there, while RIE has failed to.

    def _take_hold(self) -> None:
        started, init_pid = self._said["started"], self._said["up"]["init_pid"]
        group, memory, cpu = (_home(started[name]) for name in ("group", "memory", "cpu"))
        self.freezer = choose(self._asked_freezer, group, init_pid)
        self.kept = Kept(memory and memory.kind, cpu and cpu.kind, started["problems"], started["surroundings"])
        self.watch.stand_on(Ground(init_pid, cpu, self._cores))
        if memory and cpu:
            self._relief = OomRelief(memory, self.watch.relieve)

    def _go_on(self, give_up: float) -> None:
        if "failed" in self._said:
            raise Failure(NO_NAMESPACES.format(reason=self._said["failed"]["reason"]))
        if self.ended():
            raise SandboxEnded
        if time.monotonic() > give_up:
            raise Failure("RIE did not come up in time")

    def ended(self) -> bool:
        """Tell whether RIE has gone."""
        self._listen_to_keeper(0)
        return bool({"exited", "gone"} & self._said.keys())

    def stop(self) -> None:
        """Let RIE shut the environment down as Lambda does (SHUTDOWN, 2 s), and wait for that."""
        self._tell_keeper("stop")
        self.ends_within(STOP_LIMIT_S)

    def ends_within(self, limit_s: float) -> bool:
        """Wait for RIE to go, but no longer than that; tell whether it has gone."""
        give_up = time.monotonic() + limit_s
        while not self.ended() and time.monotonic() < give_up:
            self._listen_to_keeper(0.1)
        return self.ended()

    def close(self) -> None:
        """End whatever is left; return when processes, mounts, cgroup and the run's folder are gone."""
        if self._relief:
            self._relief.close()
        self.watch.close()
        with contextlib.suppress(BrokenPipeError):  # The keeper has gone first.
            _given(self._process.stdin).close()
        self._process.wait()
        _given(self._process.stdout).close()

    def _tell_keeper(self, line: str) -> None:
        stdin = _given(self._process.stdin)
        try:
            stdin.write(line.encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            self._said["gone"] = {}

    def _listen_to_keeper(self, limit_s: float) -> None:
        status = _given(self._process.stdout).fileno()
        if "gone" in self._said or not select.select([status], [], [], limit_s)[0]:
            return
        chunk = os.read(status, 65536)
        if not chunk:
            self._said["gone"] = {}
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        for message in map(json.loads, lines):
            self._said[message["status"]] = message


def _home(told: dict[str, str] | None) -> Home | None:
    return Home(told["kind"], Path(told["path"])) if told else None


def _spawn_keeper(log_fd: int) -> "subprocess.Popen[bytes]":
    root = str(Path(afterglow_layer.__file__).parent.parent)
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _KEEPER, root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(log_fd,),
        start_new_session=True,  # Ctrl-C reaches the command alone, which ends the sandbox in order.
    )


def _given(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # noqa: S101 - for the type checker: Popen was asked for a pipe
    return stream
