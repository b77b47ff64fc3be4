"""The ways to a collector, end to end from the sandbox: TLS, tokens, names. None holds the function up."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.integration.collect.certificates import Certificate
from tests.integration.collect.conftest import Start

LIMIT_S = 120
TOKEN, OTHER = "token-of-the-tests-1", "token-of-the-tests-2"
BUSY = ("--repeat", "250", "--gap", "0", "--freezer", "none")
"""Enough for batches to be full, and to be sent, while invocations come one after the other."""
HANDLER = 'def handler(event, context):\n    return "ok"\n'


class Ran(NamedTuple):
    """An `afterglow run` that has come to its end."""

    invocations: list[dict[str, Any]]
    errors: str

    def slowest_warm_ms(self) -> float:
        return float(max(invocation["caller"]["took_ms"] for invocation in self.invocations[1:]))


@pytest.fixture
def function(namespaces: None, tmp_path: Path) -> Path:
    """Give the folder of a function."""
    folder = tmp_path / "function"
    folder.mkdir()
    (folder / "app.py").write_text(HANDLER)
    return folder


def run(function: Path, where: str, *options: str, inside: tuple[str, ...] = (), **environment: str) -> Ran:
    written = function / "run.json"
    command = [*inside, sys.executable, "-m", "afterglow_layer", "run", "app.handler", "--dir", str(function)]
    command += ["--gap", "0.2", "--cpu", "full", "--collector", where, "--json", str(written), *options]
    for name, value in environment.items():
        command += ["--env", f"{name}={value}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert 0 == done.returncode, done.stderr
    return Ran(json.loads(written.read_text())["invocations"], done.stderr)


def test_records_go_over_tls_to_a_certificate_of_our_own(
    function: Path, collector: Start, certificate: Certificate
) -> None:
    server = collector("--listen", "127.0.0.1:0", "--tls-cert", str(certificate.both))
    (function / "ca.pem").write_bytes(certificate.trusted.read_bytes())
    ran = run(function, f"https://localhost:{server.port}", AFTERGLOW_COLLECTOR_CA=str(function / "ca.pem"))
    assert 0 == server.stop()

    assert "did not take" not in ran.errors
    assert 3 == server.totals("Invocations")


def test_a_certificate_that_nobody_vouches_for_gets_nothing_and_is_said(
    function: Path, collector: Start, certificate: Certificate
) -> None:
    server = collector("--listen", "127.0.0.1:0", "--tls-cert", str(certificate.both))
    ran = run(function, f"https://127.0.0.1:{server.port}")

    assert ["ok"] * 3 == [invocation["status"] for invocation in ran.invocations]
    assert "CERTIFICATE_VERIFY_FAILED" in ran.errors
    assert 0 == server.stop()
    assert [] == server.published()


def test_a_token_that_is_put_in_force_later_lets_in_what_was_refused(
    function: Path, collector: Start, tmp_path: Path
) -> None:
    """Rotation from the sandbox's side: the old token goes on while the file names both, and then no more."""
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{OTHER}\n")
    server = collector("--listen", "127.0.0.1:0", "--token-file", str(tokens))
    refused = run(function, f"http://127.0.0.1:{server.port}", AFTERGLOW_COLLECTOR_TOKEN=TOKEN)
    tokens.write_text(f"{OTHER}\n{TOKEN}\n")
    server.running.send_signal(signal.SIGHUP)
    while "read tokens and certificate again" not in server.said():
        assert server.running.poll() is None
    taken = run(function, f"http://127.0.0.1:{server.port}", AFTERGLOW_COLLECTOR_TOKEN=TOKEN)
    assert 0 == server.stop()

    assert "at last: HTTP 401" in refused.errors
    assert TOKEN not in refused.errors
    assert "did not take" not in taken.errors
    assert 3 == server.totals("Invocations")


class SilentNames(NamedTuple):
    """A name server that hears and never answers, and the command that runs another one with nobody but it to ask."""

    listener: socket.socket
    inside: tuple[str, ...]

    def questions(self) -> list[bytes]:
        self.listener.setblocking(False)
        heard = []
        try:
            while True:
                heard.append(self.listener.recv(512))
        except BlockingIOError:
            return heard


@pytest.fixture
def silent_names(tmp_path: Path) -> Iterator[SilentNames]:
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    address = f"127.{os.getpid() >> 8 & 0xFF}.{os.getpid() & 0xFF}.53"
    try:
        listener.bind((address, 53))
    except PermissionError:
        listener.close()
        pytest.skip("port 53 cannot be had here")
    file = tmp_path / "resolv.conf"
    file.write_text(f"nameserver {address}\n")
    script = f'mount --bind {file} /etc/resolv.conf && exec "$@"'
    with listener:
        yield SilentNames(listener, ("unshare", "--mount", "sh", "-c", script, "sh"))


def test_a_name_server_that_never_answers_holds_nothing_up(function: Path, silent_names: SilentNames) -> None:
    ran = run(function, "http://collector.example:9477", *BUSY, inside=silent_names.inside)
    questions = silent_names.questions()

    assert any(b"collector" in question for question in questions), "nobody was asked: this test shows nothing"
    assert {"ok"} == {invocation["status"] for invocation in ran.invocations}
    assert ran.slowest_warm_ms() < 1000, "a warm invocation has waited for the name server"
    assert "at last: no answer yet" in ran.errors


def test_a_name_that_nobody_knows_is_said(function: Path) -> None:
    ran = run(function, "http://no-such-name.invalid:9477")

    assert ["ok"] * 3 == [invocation["status"] for invocation in ran.invocations]
    assert "at last: no-such-name.invalid:" in ran.errors
