"""The emulator in RIE's place: a program that others start, freeze and end."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.emulator.stage import PATIENCE_S, own_ports


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start one that has no extensions and answers already."""
    ports = own_ports()
    line = [sys.executable, "-m", "afterglow_layer.emulator", "--extensions", str(tmp_path)]
    line += ["--runtime-interface-emulator-address", f"127.0.0.1:{ports.invoke}"]
    line += ["--runtime-api-address", f"127.0.0.1:{ports.runtime_api}", "--", "true"]
    process = subprocess.Popen(line)
    give_up = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", ports.invoke)).close()
            break
        except ConnectionRefusedError:
            assert time.monotonic() < give_up, "it never listened"
            time.sleep(0.01)
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_whichever_thread_the_signal_hits(emulator: subprocess.Popen[bytes], number: int) -> None:
    """Right after a thaw the kernel gives it to one that is not the main thread, where Python runs no handler."""
    threads = sorted(int(name) for name in os.listdir(f"/proc/{emulator.pid}/task"))
    assert len(threads) > 1, threads

    assert 0 == ctypes.CDLL(None).tgkill(emulator.pid, threads[-1], number)

    assert 0 == emulator.wait(PATIENCE_S)
