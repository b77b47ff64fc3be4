"""Records on their way to a collector: the same totals as the embedded one, and nothing that holds a function up."""

import gzip
import json
import re
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from afterglow.aggregate import Aggregate
from afterglow.emf import Emitter, encode
from afterglow.records import Environment, decode
from afterglow_layer.cli import build_parser
from afterglow_layer.local import planning, session

HANDLERS = Path(__file__).parents[2] / "handlers"
BUSY = ("--repeat", "250", "--gap", "0", "--freezer", "none", "--cpu", "full")
"""Enough for batches to be full, and to be sent, while invocations come one after the other."""


def run(handler: str, *options: str, expected_status: int = 0) -> None:
    """Run `afterglow run` on a handler of ours."""
    command = [
        sys.executable,
        "-m",
        "afterglow_layer",
        "run",
        handler,
        "--dir",
        str(HANDLERS),
        "--gap",
        "0.2",
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert expected_status == done.returncode, f"{done.stderr}\n{done.stdout}"


def totals(lines: list[str]) -> dict[str, tuple[float, float]]:
    """Return (count, sum) of every metric in EMF lines, over all of them."""
    found: dict[str, tuple[float, float]] = {}
    for document in map(json.loads, lines):
        for metric in document["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            value = document[metric["Name"]]
            count, total = (value["Count"], value["Sum"]) if isinstance(value, dict) else (1, value)
            before = found.get(metric["Name"], (0, 0))
            found[metric["Name"]] = (before[0] + count, before[1] + total)
    return found


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Callable[[], list[str]]]:
    """Give a real `afterglow collect`; calling `collector()` stops it and returns its EMF lines."""
    command = [sys.executable, "-m", "afterglow_layer", "collect", "--listen", "127.0.0.1:0"]
    command += ["--data", str(tmp_path / "data"), "--grace-s", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    first = next(line for line in process.stderr if "listening on" in line)

    def stopped() -> list[str]:
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=30)
        assert 0 == process.returncode, errors
        return [line for line in output.splitlines() if '"_aws"' in line]

    stopped.url = re.search(r"http://[\d.:]+", first).group()  # type: ignore[attr-defined,union-attr]
    yield stopped
    if process.poll() is None:
        process.kill()
        process.communicate()


def test_a_collector_adds_up_to_the_last_count_what_the_extension_would_have(
    namespaces: None, collector: Any, tmp_path: Path
) -> None:
    kept = tmp_path / "records.ndjson"

    run("lingering.thread_sleeping", "--collector", collector.url, "--records", str(kept))

    records = [decode(line) for line in kept.read_text().splitlines()]
    aggregate = Aggregate()
    environment = records[0]
    assert isinstance(environment, Environment)
    for record in records[1:]:
        aggregate.add(environment, record)
    embedded = totals(encode(aggregate.take_all(), Emitter(), environment.started_at_ms).lines)
    assert (1, 3) == embedded["Invocations"]
    assert embedded == totals(collector())


class Unwell(socketserver.ThreadingTCPServer):
    """A collector with an ailment; counts the requests that it has seen."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, ailment: str) -> None:
        super().__init__(("127.0.0.1", 0), _Sickbed)
        self.ailment = ailment
        self.seqs: list[int] = []
        self.over = threading.Event()


class _Sickbed(socketserver.StreamRequestHandler):
    server: Unwell

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return
            head += line
        length = int(re.search(rb"Content-Length: (\d+)", head).group(1))  # type: ignore[union-attr]
        assert gzip.decompress(self.rfile.read(length)).startswith(b'{"afterglow":"environment"')
        self.server.seqs.append(int(re.search(rb"Afterglow-Seq: (\d+)", head).group(1)))  # type: ignore[union-attr]
        if self.server.ailment == "500":
            self.wfile.write(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")
        elif self.server.ailment == "nonsense":
            self.wfile.write(b"\x00\xff what is this\r\n\r\n" * 10)
        elif self.server.ailment == "silent":
            self.server.over.wait()
        # "hangs up": close without a word


@pytest.fixture
def unwell(request: pytest.FixtureRequest) -> Iterator[Unwell]:
    server = Unwell(request.param)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("unwell", ["500", "nonsense", "silent", "hangs up"], indirect=True)
def test_a_collector_that_is_unwell_is_asked_again_with_the_same_number_and_holds_nothing_up(
    namespaces: None, unwell: Unwell, tmp_path: Path
) -> None:
    written = tmp_path / "run.json"
    url = f"http://127.0.0.1:{unwell.server_address[1]}"

    run("endings.returns", "--collector", url, "--json", str(written), *BUSY)

    document = json.loads(written.read_text())
    assert ["ok"] * 250 == [invocation["status"] for invocation in document["invocations"]]
    warm = [invocation["caller"]["took_ms"] for invocation in document["invocations"][1:]]
    assert max(warm) < 1000, f"a warm invocation took {warm} ms: it has waited for the collector"
    assert unwell.seqs, "the collector was never asked"
    assert {1} == set(unwell.seqs[:2]), f"a batch that was not taken must come again under its number: {unwell.seqs}"


def test_a_collector_that_is_not_there_holds_nothing_up(namespaces: None, tmp_path: Path) -> None:
    written = tmp_path / "run.json"

    run("endings.returns", "--collector", "http://127.0.0.1:9", "--json", str(written), *BUSY)

    document = json.loads(written.read_text())
    assert ["ok"] * 250 == [invocation["status"] for invocation in document["invocations"]]
    assert max(invocation["caller"]["took_ms"] for invocation in document["invocations"][1:]) < 1000


def test_record_lines_go_to_the_log_instead_of_emf(namespaces: None) -> None:
    asked = ["run", "endings.returns", "--dir", str(HANDLERS), "--gap", "0.1", "--collector", "records"]
    done = session.run(planning.make_plan(build_parser().parse_args(asked)))

    kinds = [type(decode(line)).__name__ for line in done.agent if line.startswith('{"afterglow"')]
    assert [] == done.emf, "EMF as well as records would count everything twice"
    assert 3 == kinds.count("Invocation"), kinds
    assert "Environment" == kinds[0]
