"""From the launcher to Python: what the launcher's child kept, and what comes of it when it is no proper end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from tests.unit.sandbox.api_server import INVOKE, REGISTERED, SHUTDOWN, Api, answer, event
from tests.unit.sandbox.extension_process import LAUNCHER, PACKAGE, Extension, boot_command, broken_copy

from afterglow import proc
from afterglow.handover import parse_entries

LATE = """
import os
with open(os.environ["GATE"]):
    pass
"""
"""Imported by boot first of all: waits until the test opens the other end of the FIFO."""

IGNORING = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"


@pytest.fixture
def late(api: Api, tmp_path: Path) -> tuple[Extension, Callable[[], None]]:
    """Give an extension whose Python comes only when it is called, and the call."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    root = broken_copy(tmp_path / "late", "runtime_api.py", LATE + (PACKAGE / "runtime_api.py").read_text())
    extension = Extension(api, tmp_path, root=root, launched=True, GATE=str(gate))
    return extension, lambda: gate.open("w").close()


def invoke(number: int) -> bytes:
    return answer(event("INVOKE", requestId=f"r-{number}", deadlineMs=4_000_000_000_000))


def test_events_are_answered_while_there_is_no_python_yet_and_all_of_them_counted(
    late: tuple[Extension, Callable[[], None]],
) -> None:
    extension, come = late
    extension.register()
    for number in range(1, 31):
        extension.tell(invoke(number))
    come()
    extension.tell(invoke(31))
    extension.shut_down()
    told = [invocation["request_id"] for invocation in extension.records("invocation")]

    assert [f"r-{number}" for number in range(1, 32)] == told


def test_a_shutdown_that_comes_before_python_is_obeyed(late: tuple[Extension, Callable[[], None]]) -> None:
    extension, come = late
    extension.register()
    extension.tell(INVOKE)
    extension.tell(SHUTDOWN, next_too=False)
    come()
    _, errors = extension.end()

    assert errors == ""
    assert ["spindown"] == [shutdown["reason"] for shutdown in extension.records("shutdown")]


@pytest.mark.parametrize(
    "chunked",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Filled: "
        + b"x" * 4_000
        + b"\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
    ],
    ids=["chunked", "chunked, long headers"],
)
def test_an_event_in_chunks_and_pieces_is_one_event(late: tuple[Extension, Callable[[], None]], chunked: bytes) -> None:
    """Go chunks an answer as soon as it outgrows its buffer."""
    extension, come = late
    peer = extension.register()
    body = event("INVOKE", requestId="r-1", padding="y" * 3_000)
    whole = chunked % (len(body), body)
    for at in range(0, len(whole), 700):
        peer.say(whole[at : at + 700])
    peer.expect("/event/next")
    come()
    extension.shut_down()

    assert ["r-1"] == [invocation["request_id"] for invocation in extension.records("invocation")]


def test_what_the_child_cannot_keep_waits_for_python(late: tuple[Extension, Callable[[], None]]) -> None:
    """It has room for 128 KB. The event past that is answered when Python comes, and none is lost."""
    extension, come = late
    extension.register()
    sent = 0
    for number in range(1, 5):
        sent = number
        said = answer(event("INVOKE", requestId=f"r-{number}", padding="y" * 40_000))
        extension.tell(said, next_too=number < 4)
    come()
    assert extension.peer is not None
    extension.peer.expect("/event/next")
    extension.shut_down()

    assert sent == len(extension.records("invocation"))


def test_a_connection_that_lambda_ends_with_its_answer_is_made_anew(
    late: tuple[Extension, Callable[[], None]], api: Api
) -> None:
    extension, come = late
    extension.register()
    extension.tell(
        answer(event("INVOKE", requestId="r-1"), headers=b"Connection: close\r\n"),
        next_too=False,
    )
    come()
    extension.peer = api.accept()
    extension.peer.expect("/event/next")
    extension.shut_down()

    assert ["r-1"] == [invocation["request_id"] for invocation in extension.records("invocation")]


def test_the_child_is_gone_when_python_has_taken_over(api: Api, tmp_path: Path) -> None:
    extension = Extension(api, tmp_path, launched=True)
    extension.register()
    extension.invoke("r-1")
    extension.invoke("r-2")
    extension.until_told("r-1")

    assert [] == psutil.Process(extension.process.pid).children()


def test_where_the_child_was_killed_the_bare_loop_goes_on(
    late: tuple[Extension, Callable[[], None]],
) -> None:
    """The kernel may do so for want of memory. Its /next is on the wire still."""
    extension, come = late
    extension.register()
    extension.tell(INVOKE)  # it is the child that asks for the next one
    (child,) = psutil.Process(extension.process.pid).children()
    os.kill(child.pid, signal.SIGKILL)
    come()

    assert "what the launcher began cannot be gone on with" in extension.said()

    extension.tell(invoke(2), next_too=False)
    assert extension.peer is not None
    following = extension.peer.expect("/event/next")

    assert following.headers["lambda-extension-identifier"] == "id-1"

    extension.shut_down()


@pytest.mark.parametrize("many", [1, 2, 3, 4, 5, 6, 7])
def test_descriptors_that_are_open_already_are_in_nobodys_way(api: Api, tmp_path: Path, many: int) -> None:
    """From 3 on. With seven of them the one between launcher and Python is taken: then Python does it all."""
    inherited = " ".join(f"{fd}</dev/null" for fd in range(3, 3 + many))
    opening = ["/bin/sh", "-c", f'exec "$@" {inherited}', "sh"]
    extension = Extension(api, tmp_path, launched=True, before=opening, AFTERGLOW_TELEMETRY="on")
    extension.register()
    telemetry = api.accept()
    telemetry.expect("PUT /2022-07-01/telemetry")
    telemetry.say(answer(b'{"errorType":"Telemetry.NotSupported"}', "202 Accepted"))
    extension.invoke("r-1")
    extension.invoke("r-2")
    _, errors = extension.shut_down()

    assert errors == ""
    assert ["r-1", "r-2"] == [invocation["request_id"] for invocation in extension.records("invocation")]
    assert extension.dropped("subscription") == {}


def test_whoever_ignores_the_end_of_children_may_start_it(api: Api, tmp_path: Path) -> None:
    """Ignored signals are inherited; the kernel then reaps the child itself, and wait finds none."""
    ignoring = [sys.executable, "-c", IGNORING]
    extension = Extension(api, tmp_path, launched=True, before=ignoring)
    extension.register()
    extension.invoke("r-1")
    _, errors = extension.shut_down()

    assert errors == ""


def test_telemetry_is_asked_for_in_the_same_words(api: Api, tmp_path: Path) -> None:
    """The launcher asks in C what ``afterglow.subscription`` asks in Python."""
    asked = []
    for launched in (False, True):
        extension = Extension(api, tmp_path, launched=launched, AFTERGLOW_TELEMETRY="on")
        extension.register()
        peer = api.accept()
        request = peer.expect("PUT /2022-07-01/telemetry")
        port = json.loads(request.body)["destination"]["URI"].rpartition(":")[2]
        headers = {**request.headers, "content-length": "any"}
        asked.append((request.line, headers, request.body.replace(port.encode(), b"PORT")))
        peer.say(answer(b'{"errorType":"Telemetry.NotSupported"}', "202 Accepted"))
        extension.shut_down()

    assert asked[0] == asked[1]


def test_register_and_next_are_called_in_the_same_words(api: Api, tmp_path: Path) -> None:
    asked = []
    for launched in (False, True):
        extension = Extension(api, tmp_path, launched=launched)
        peer = api.accept()
        register = peer.expect("/register")
        peer.say(REGISTERED)
        following = peer.expect("/event/next")
        asked.append([(one.line, one.headers, one.body) for one in (register, following)])
        extension.kill()

    assert asked[0] == asked[1]


def test_the_child_counts_the_kernels_kills_as_python_does(api: Api, tmp_path: Path) -> None:
    """Python may come when the function has been killed already: what counts is what was before."""
    show = "import socket, sys; own = socket.socket(fileno=9); own.shutdown(socket.SHUT_WR); told = b''\n"
    show += "while data := own.recv(65536): told += data\nsys.stdout.buffer.write(told)"
    environ = {"AWS_LAMBDA_RUNTIME_API": api.address, "AFTERGLOW_TELEMETRY": "off"}
    command = [str(LAUNCHER), sys.executable, "-I", "-S", "-c", show]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as process:
        peer = api.accept()
        peer.expect("/register")
        peer.say(REGISTERED)
        told, _ = process.communicate(timeout=20)
    (kills,) = [one.number for one in parse_entries(told) if one.kind == b"K"]

    assert kills == proc.read_oom_kills()


@pytest.mark.parametrize("address", ["localhost:{port}", "127.0.0.1:{port}/", "127.0.0.256:{port}", "[::1]:{port}"])
def test_an_address_that_the_launcher_does_not_read_is_pythons(api: Api, tmp_path: Path, address: str) -> None:
    port = api.address.rpartition(":")[2]
    environ = {"AWS_LAMBDA_RUNTIME_API": address.format(port=port)}
    show = ["/bin/sh", "-c", 'echo "argument: $1"', "sh"]
    done = subprocess.run([str(LAUNCHER), *show], env=environ, capture_output=True, text=True, check=True)

    assert done.stdout == "argument: \n"


def test_without_a_runtime_api_the_launcher_leaves_it_to_python_to_say_so() -> None:
    done = subprocess.run([str(LAUNCHER), *boot_command()], env={}, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "AWS_LAMBDA_RUNTIME_API is not set" in done.stderr


def test_a_program_that_is_not_there_is_told_by_the_status() -> None:
    assert 127 == subprocess.run([str(LAUNCHER), "/nowhere"], env={}, check=False).returncode


# -- what the child says -----------------------------------------------------------------------------------------


def entry(kind: bytes, number: int, payload: bytes) -> bytes:
    return kind + number.to_bytes(8, "little") + len(payload).to_bytes(4, "little") + payload


def test_entries_are_read_in_their_order() -> None:
    told = entry(b"R", 5, b"registered") + entry(b"E", 6, b"") + entry(b"L", 1, b"rest")

    assert [(b"R", 5, b"registered"), (b"E", 6, b""), (b"L", 1, b"rest")] == [
        (one.kind, one.number, one.payload) for one in parse_entries(told)
    ]


@pytest.mark.parametrize("cut", range(1, 18))
def test_what_is_cut_off_is_no_entry(cut: int) -> None:
    told = entry(b"R", 5, b"registered") + entry(b"L", 1, b"rest")

    assert [b"R"] == [one.kind for one in parse_entries(told[:-cut])]
