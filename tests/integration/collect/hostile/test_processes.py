"""What an operator and a machine can do: half-rotated certificates, signals at any moment, sockets that are gone."""

import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from tests.integration.collect.certificates import Certificate
from tests.integration.collect.conftest import Start
from tests.integration.collect.running import LIMIT_S, Collector
from tests.unit.collect.samples import call, now_ms


def shown(server: Collector) -> str:
    return ssl.get_server_certificate(("127.0.0.1", server.port), timeout=LIMIT_S)


def reloaded(server: Collector, said: str) -> None:
    before = server.said().count(said)
    server.running.send_signal(signal.SIGHUP)
    ends_s = time.monotonic() + LIMIT_S
    while server.said().count(said) == before:
        assert time.monotonic() < ends_s, server.said()
        time.sleep(0.01)


def halves(pem: bytes) -> tuple[bytes, bytes]:
    at = pem.index(b"-----BEGIN CERTIFICATE-----")
    return pem[:at], pem[at:]


def encrypted(_: bytes) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


@pytest.mark.parametrize("named", [None, "localhost"], ids=["no server name", "a server name"])
def test_a_half_rotated_certificate_leaves_the_old_one_in_force(
    collector: Start, certificate: Certificate, tmp_path: Path, named: str | None
) -> None:
    server = collector("--listen", "127.0.0.1:0", "--tls-cert", str(certificate.both))
    old, first = certificate.both.read_bytes(), shown(server)
    (tmp_path / "other").mkdir()
    other = Certificate(tmp_path / "other")
    key, pem = halves(old)
    other_key, other_pem = halves(other.both.read_bytes())
    for half in (key + other_pem, other_key + pem, other_pem, other_key, b"", pem[:200], encrypted(old) + other_pem):
        certificate.both.write_bytes(half)
        reloaded(server, "what was in force stays so")
        context = ssl.create_default_context(cafile=certificate.trusted)
        context.check_hostname = named is not None
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT_S) as plain,
            context.wrap_socket(plain, server_hostname=named),
        ):
            pass
        assert first == shown(server)
    certificate.both.write_bytes(other.both.read_bytes())
    reloaded(server, "read tokens and certificate again")
    assert other.trusted.read_text() == shown(server)


def test_tokens_are_read_again_also_when_the_certificate_cannot_be(
    collector: Start, certificate: Certificate, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("the-first-of-the-tokens\n")
    server = collector("--listen", "127.0.0.1:0", "--tls-cert", str(certificate.both), "--token-file", str(tokens))
    certificate.both.write_bytes(b"nonsense")
    tokens.write_text("the-second-of-the-tokens\n")
    reloaded(server, "what was in force stays so")

    assert 0 == server.stop(), server.said()
    assert "Traceback" not in server.said()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_at_any_moment_of_a_stop_leave_it_in_order(collector: Start, number: signal.Signals) -> None:
    """Also after "stopped", while the interpreter is being taken down."""
    chance = random.Random(number)
    for _ in range(4):
        server = collector()
        assert 202 == server.client().send(1, call(now_ms())).status
        server.running.send_signal(signal.SIGTERM)
        while server.running.poll() is None:
            server.running.send_signal(number)
            time.sleep(chance.uniform(0, 0.01))

        assert 0 == server.running.returncode, server.said()
        assert 1 == server.totals()


def test_a_socket_that_somebody_has_removed_is_no_error(collector: Start) -> None:
    server = collector()
    assert 202 == server.client().send(1, call(now_ms())).status
    server.socket.unlink()

    assert 0 == server.stop(), server.said()
    assert "Traceback" not in server.said()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--listen", "unix:" + "/tmp/" + "x" * 200], 1, "path too long"),
        (["--listen", "[::ffff:127.0.0.1]:0", "--sink", "nowhere"], 2, "no sink is called"),
        (["--listen", "[::ffff:10.0.0.1]:0"], 1, "no tokens are set"),
    ],
)
def test_what_keeps_it_from_starting_is_said_in_words(
    arguments: list[str], status: int, said: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "afterglow_layer", "collect", "--data", str(tmp_path / "data"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)

    assert (status, True) == (done.returncode, said in done.stderr), done.stderr


def test_few_open_files_hold_up_and_do_not_end_it(collector: Start) -> None:
    server = collector()
    resource_limits = subprocess.run(
        ["prlimit", f"--pid={server.running.pid}", "--nofile=48:48"], capture_output=True, check=False
    )
    if resource_limits.returncode:
        pytest.skip("no limits can be set here")
    held = [server.connect() for _ in range(60)]
    for connection in held:
        connection.close()
    ends_s = time.monotonic() + LIMIT_S
    while True:
        try:
            if server.client().send(1, call(now_ms())).status == 202:
                break
        except OSError:
            pass
        assert time.monotonic() < ends_s, server.said()
        time.sleep(0.05)

    assert 0 == server.stop(), server.said()
    assert os.path.getsize(server.log) < 100_000
