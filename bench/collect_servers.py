"""The servers under load: ours and its rivals, each pinned to the last core, the load on the first.

In: what to run. Out: a running Server with its port, its CPU time and its memory. Rivals are fetched once, by npm
and go, into the user's cache; where that cannot be done they are left out, and the reason is told.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from afterglow_layer.failure import Failure
from bench.machine import ROOT

STATSD = "0.9.0"
VMAGENT = "v1.122.0"
LIMIT_S = 600
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SERVER_CORE, LOAD_CORE = max(os.sched_getaffinity(0)), min(os.sched_getaffinity(0))
_STATSD_BACKEND = "exports.init = () => true;"  # flushes go nowhere


class Server(NamedTuple):
    """A server that runs."""

    pid: int
    port: int
    data: Path

    def cpu_s(self) -> float:
        """Return the CPU time that it has used, all threads, in steps of 10 ms."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def rss_mb(self) -> float:
        """Return its resident memory."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0


def load(**words: Any) -> dict[str, Any]:
    """Run the load, and return what came of it."""
    command = ["taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "bench.collect_load", json.dumps(words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        raise Failure(f"the load failed: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def collector(*options: str) -> Iterator[Server]:
    """Run `afterglow collect` on a folder of its own."""
    with folder() as data, collector_on(data, *options) as server:
        yield server


@contextmanager
def collector_on(data: Path, *options: str) -> Iterator[Server]:
    """Run `afterglow collect` on this folder; it may end before it is told to."""
    command = [sys.executable, "-m", "afterglow_layer", "collect", "--listen", "127.0.0.1:0", "--data", str(data)]
    with _running([*command, "--sink", f"file:{data}/out", *options], data) as process:
        port = int(_said(process, data, r"listening on http://127.0.0.1:(\d+)"))
        yield Server(process.pid, port, data)


@contextmanager
def noop() -> Iterator[Server]:
    """Run the bare ASGI application."""
    port = _free_port()
    with folder() as data, _running([sys.executable, "-m", "bench.collect_noop", str(port)], data) as process:
        _wait_for(port, process)
        yield Server(process.pid, port, data)


@contextmanager
def statsd() -> Iterator[Server]:
    """Run statsd on TCP; its management port is the next one."""
    home = _cache() / f"statsd-{STATSD}"
    if not (home / "node_modules" / "statsd").exists():
        _fetch(["npm", "install", "--silent", "--no-optional", "--prefix", str(home), f"statsd@{STATSD}"])
    port = _free_port()
    with folder() as data:
        (data / "nowhere.js").write_text(_STATSD_BACKEND)
        server = {"server": "./servers/tcp", "address": "127.0.0.1", "port": port}
        backends = [str(data / "nowhere.js")]
        config = {"servers": [server], "mgmt_port": port + 1, "backends": backends, "flushInterval": 3_600_000}
        (data / "config.js").write_text(json.dumps(config))
        script = home / "node_modules" / "statsd" / "stats.js"
        with _running(["node", str(script), str(data / "config.js")], data) as process:
            _wait_for(port, process)
            yield Server(process.pid, port, data)


@contextmanager
def vmagent(sink_port: int) -> Iterator[Server]:
    """Run VictoriaMetrics' vmagent with stream aggregation, one thread, sending to a server that takes anything."""
    binary = _cache() / f"vmagent-{VMAGENT}"
    if not binary.exists():
        _build_vmagent(binary)
    port = _free_port()
    with folder() as data:
        rule = {"interval": "1m", "by": ["function"], "outputs": ["count_samples", "sum_samples", "min", "max"]}
        rule["outputs"] = [*rule["outputs"], "histogram_bucket"]
        (data / "aggregate.yml").write_text(json.dumps([rule]))
        flags = [f"-httpListenAddr=127.0.0.1:{port}", f"-remoteWrite.tmpDataPath={data}/queue", "-loggerLevel=ERROR"]
        target = [f"-remoteWrite.url=http://127.0.0.1:{sink_port}/", f"-streamAggr.config={data}/aggregate.yml"]
        with _running([str(binary), *flags, *target], data, GOMAXPROCS="1") as process:
            _wait_for(port, process)
            yield Server(process.pid, port, data)


def _build_vmagent(binary: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="afterglow-bench-") as scratch:
        module = "github.com/VictoriaMetrics/VictoriaMetrics"
        (Path(scratch) / "go.mod").write_text(f"module bench\ngo 1.24\nrequire {module} {VMAGENT}\n")
        _fetch(["go", "build", "-C", scratch, "-mod=mod", "-o", str(binary), f"{module}/app/vmagent"])


def _fetch(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_S)
    except FileNotFoundError:
        raise Failure(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise Failure(f"{command[0]}: {error.stderr.strip().splitlines()[-1]}") from None
    except subprocess.TimeoutExpired:
        raise Failure(f"{command[0]} took more than {LIMIT_S} s") from None


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "afterglow" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder beside the repository: on a real disk, where /tmp may be memory."""
    folder = Path(tempfile.mkdtemp(prefix=".bench-", dir=ROOT.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(command: list[str], data: Path, **environ: str) -> Iterator["subprocess.Popen[bytes]"]:
    pinned = ["taskset", "-c", str(SERVER_CORE), *command]
    with (data / "log").open("wb") as log:
        process = subprocess.Popen(pinned, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **environ})
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _said(process: "subprocess.Popen[bytes]", data: Path, words: str) -> str:
    while process.poll() is None:
        found = re.search(words, (data / "log").read_text())
        if found:
            return found[1]
        time.sleep(0.05)
    raise Failure(f"the server ended: {(data / 'log').read_text()}")


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise Failure(f"{process.args!r} ended with {process.returncode}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
