"""Real servers that the functions talk to: Redis and PostgreSQL where installed, moto for AWS, and a case's own.

In: names. Out: environment variables for the function, while an `ExitStack` keeps the servers alive.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

START_S = 30


class MissingServerError(Exception):
    """A server that this machine does not have."""


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: "subprocess.Popen[str]") -> None:
    """Return once somebody listens there."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise MissingServerError(f"{process.args!r} does not listen on {port}")


def spawn(stack: contextlib.ExitStack, command: list[str], **options: object) -> "subprocess.Popen[str]":
    """Start a server that ends with the stack."""
    process: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]
        command,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        **{"stdout": subprocess.DEVNULL, **options},
    )
    stack.enter_context(process)
    stack.callback(process.kill)
    return process


def start_sink(stack: contextlib.ExitStack, log: Path, rules: dict[str, dict[str, object]]) -> dict[str, str]:
    """Start the slow server; the function finds it by SINK (http://…), SINK_HOST, SINK_TCP_PORT, SINK_UDP_PORT."""
    log.touch()
    command = [sys.executable, "-m", "tests.real.sink", "--log", str(log)]
    for kind, by_pattern in rules.items():
        for pattern, value in by_pattern.items():
            command += [f"--{kind}", f"{pattern}={value}"]
    process = spawn(stack, command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    ports = json.loads(process.stdout.readline())
    return {
        "SINK": f"http://127.0.0.1:{ports['http']}",
        "SINK_HOST": "127.0.0.1",
        "SINK_HTTP_PORT": str(ports["http"]),
        "SINK_TCP_PORT": str(ports["tcp"]),
        "SINK_UDP_PORT": str(ports["udp"]),
    }


def start_redis(stack: contextlib.ExitStack) -> dict[str, str]:
    program = shutil.which("redis-server")
    if program is None:
        raise MissingServerError("redis-server is not installed")
    port = free_port()
    wait_for(port, spawn(stack, [program, "--port", str(port), "--save", "", "--bind", "127.0.0.1"]))
    return {"REDIS_URL": f"redis://127.0.0.1:{port}/0", "REDIS_PORT": str(port)}


def postgres_programs() -> Path:
    """Return the folder of initdb and postgres, which Debian keeps off the PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders or not (folders[-1] / "postgres").exists():
        raise MissingServerError("PostgreSQL's server is not installed")
    return folders[-1]


def start_postgres(stack: contextlib.ExitStack) -> dict[str, str]:
    """Start an empty PostgreSQL; as root, under another user's id, as it insists."""
    programs = postgres_programs()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="afterglow-pg-", ignore_cleanup_errors=True)))
    as_other: dict[str, object] = {}
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
        as_other = {"user": 65534, "group": 65534, "extra_groups": []}
    data = folder / "data"
    make = [str(programs / "initdb"), "-D", str(data), "-U", "app", "-A", "trust", "--no-sync"]
    done = subprocess.run(make, capture_output=True, text=True, check=False, **as_other)  # type: ignore[call-overload]
    if done.returncode:
        raise MissingServerError("initdb failed: " + done.stderr.strip()[-200:])
    port = free_port()
    serve = [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-k", str(folder), "-h", "127.0.0.1"]
    wait_for(port, spawn(stack, [*serve, "-c", "fsync=off"], **as_other))
    wait_until_accepting(programs, port)
    return {"DATABASE_URL": f"postgresql://app@127.0.0.1:{port}/postgres"}


def wait_until_accepting(programs: Path, port: int) -> None:
    """It listens before it accepts."""
    end = time.monotonic() + START_S
    ready = [str(programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(ready, capture_output=True, check=False).returncode and time.monotonic() < end:
        time.sleep(0.05)


def start_moto(stack: contextlib.ExitStack) -> dict[str, str]:
    port = free_port()
    serve = "from moto.server import main; main(['-H', '127.0.0.1', '-p', '{}'])"
    wait_for(port, spawn(stack, [sys.executable, "-W", "ignore", "-c", serve.format(port)]))
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    return {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", **keys}


def start_own(stack: contextlib.ExitStack, python: Path, script: Path, packages: Path | None) -> dict[str, str]:
    """Start a case's own service.py with its packages; it prints the port it listens on."""
    environment = {**os.environ, "PYTHONPATH": str(packages or "")}
    process = spawn(stack, [str(python), str(script)], stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    return {"SERVICE_PORT": process.stdout.readline().strip()}


SHARED: dict[str, Callable[[contextlib.ExitStack], dict[str, str]]] = {
    "redis": start_redis,
    "postgres": start_postgres,
    "moto": start_moto,
}


class Services:
    """The shared servers, each started when it is first needed."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._started: dict[str, dict[str, str]] = {}

    def environment(self, name: str) -> dict[str, str]:
        """Return how the function finds this server."""
        if name not in self._started:
            self._started[name] = SHARED[name](self._stack)
        return self._started[name]
