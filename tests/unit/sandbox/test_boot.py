"""Boot: the extension as a process, against a Runtime API that answers well, badly, or not at all.

Whatever breaks, the environment must go on: one line on stderr, and a bare loop that still answers.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.sandbox.api_server import INVOKE, REGISTERED, SHUTDOWN, Api, answer, event
from tests.unit.sandbox.extension_process import BOOT, PACKAGE, Extension, broken_copy, hung_up

GIVES_UP = "profiling ends here, the function goes on undisturbed\n"
Start = Callable[..., Extension]


@pytest.fixture(params=[False, True], ids=["by itself", "after the launcher"])
def start(api: Api, tmp_path: Path, request: pytest.FixtureRequest) -> Start:
    """Give `start(**variables)`: an extension that has been started, by Python alone or by the launcher."""
    return lambda **options: Extension(api, tmp_path, launched=request.param, **options)


def test_it_registers_for_invoke_and_shutdown_then_asks_for_the_next_event(start: Start, api: Api) -> None:
    start()
    peer = api.accept()
    register = peer.expect("POST /2020-01-01/extension/register")
    peer.say(REGISTERED)
    following = peer.expect("GET /2020-01-01/extension/event/next")

    assert {"events": ["INVOKE", "SHUTDOWN"]} == json.loads(register.body)
    assert "afterglow" == register.headers["lambda-extension-name"]
    assert "id-1" == following.headers["lambda-extension-identifier"]


def test_it_listens_for_the_hook_before_it_has_registered(start: Start, api: Api) -> None:
    """The runtime, and the hook in it, start as soon as every extension has registered."""
    extension = start()
    api.accept().expect("/register")

    assert extension.hook()


def test_an_event_that_comes_during_its_own_imports_is_answered_and_counted(start: Start) -> None:
    extension = start()
    extension.register()
    extension.tell(INVOKE)
    extension.shut_down()

    assert ["r-1"] == [invocation["request_id"] for invocation in extension.records("invocation")]


def test_shutdown_right_after_register_ends_it(start: Start) -> None:
    extension = start()
    extension.register()
    extension.shut_down()

    assert ["spindown"] == [shutdown["reason"] for shutdown in extension.records("shutdown")]


def test_it_lowers_its_own_priority_once_it_has_registered(start: Start) -> None:
    extension = start()
    extension.register()
    extension.tell(INVOKE)

    assert 19 == os.getpriority(os.PRIO_PROCESS, extension.process.pid)


def test_where_invoke_is_refused_it_registers_for_shutdown_alone(start: Start) -> None:
    """Managed Instances, [O] in RIE: 403 Extension.InvalidEventType."""
    extension = start()
    peer = extension.refuse(answer(b'{"errorType":"Extension.InvalidEventType"}', "403 Forbidden"))
    again = peer.expect("/register")
    peer.say(REGISTERED)
    peer.expect("/event/next")
    _, errors = extension.shut_down()

    assert {"events": ["SHUTDOWN"]} == json.loads(again.body)
    assert "" == errors


# -- what breaks in here -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "source", "said"),
    [
        ("main.py", "def run(handoff): raise RuntimeError('broken')", "RuntimeError: broken"),
        ("main.py", "raise RuntimeError('broken')", "RuntimeError: broken"),
        ("agent.py", "this is no Python", "SyntaxError: "),
        ("records.py", "import a_module_that_is_not_there", "ModuleNotFoundError: "),
    ],
    ids=["main fails", "main cannot be imported", "no Python", "an import is missing"],
)
def test_whatever_breaks_is_said_once_and_the_bare_loop_goes_on(
    start: Start, tmp_path: Path, module: str, source: str, said: str
) -> None:
    extension = start(root=broken_copy(tmp_path / "broken", module, source))
    extension.register()
    for number in range(3):
        extension.invoke(f"r-{number}")
    out, errors = extension.shut_down()

    assert "" == out
    assert errors.startswith("afterglow: " + said)
    assert errors.endswith(GIVES_UP)
    assert 1 == errors.count("\n")


@pytest.mark.parametrize("body", [b"no JSON", b"[]", b'"INVOKE"', b"\xff", b""])
def test_an_event_that_cannot_be_read_ends_profiling_and_nothing_else(start: Start, body: bytes) -> None:
    extension = start()
    extension.register()
    extension.invoke("r-1")
    extension.tell(answer(body))
    extension.invoke("r-3")
    _, errors = extension.shut_down()

    assert errors.endswith(GIVES_UP)
    assert 1 == errors.count("\n")


def test_a_failure_at_shutdown_does_not_make_the_environment_wait(start: Start, tmp_path: Path) -> None:
    """A bare loop that asked for a further event would be killed only when the 2 s are over."""
    source = (PACKAGE / "main.py").read_text().replace("agent.run()", "agent.run(); raise RuntimeError('late')")
    extension = start(root=broken_copy(tmp_path / "broken", "main.py", source))
    extension.register()
    _, errors = extension.shut_down()

    assert errors == f"afterglow: RuntimeError: late; {GIVES_UP}"


def test_the_bare_loop_is_not_ended_by_a_function_that_speaks_of_shutdown(start: Start, tmp_path: Path) -> None:
    extension = start(root=broken_copy(tmp_path / "broken", "main.py", "raise RuntimeError('broken')"))
    extension.register()
    extension.tell(answer(event("INVOKE", requestId="r-1", tracing={"value": "SHUTDOWN"})))
    extension.tell(answer(event("INVOKE", requestId="SHUTDOWN", invokedFunctionArn="arn:function:SHUTDOWN")))
    extension.shut_down()


def test_the_bare_loop_knows_shutdown_by_its_type_however_it_is_spaced(start: Start, tmp_path: Path) -> None:
    extension = start(root=broken_copy(tmp_path / "broken", "main.py", "raise RuntimeError('broken')"))
    extension.register()
    extension.tell(answer(b'{ "deadlineMs": 1, "eventType" : "SHUTDOWN" }'), next_too=False)
    extension.end()


def test_the_hook_is_let_go_when_profiling_ends(start: Start) -> None:
    extension = start()
    extension.register()
    extension.invoke("r-1")
    hook = extension.hook()
    extension.tell(answer(b"no JSON"))

    assert hung_up(hook)
    with contextlib.suppress(ConnectionRefusedError):
        assert hung_up(extension.hook())


# -- switched off ------------------------------------------------------------------------------------------------


def test_switched_off_it_answers_and_does_nothing_else(start: Start) -> None:
    extension = start(AFTERGLOW_ENABLED="off")
    extension.register()
    hook = extension.hook()
    extension.invoke("r-1")
    extension.invoke("r-2")

    assert hung_up(hook)
    assert ("", "") == extension.shut_down()
    assert not extension.records_path.exists()


# -- what breaks out there ---------------------------------------------------------------------------------------


def test_without_a_runtime_api_it_says_who_starts_it() -> None:
    command = [sys.executable, "-I", "-S", "-c", BOOT, str(PACKAGE.parent)]
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=False)

    assert (2, "") == (done.returncode, done.stdout)
    assert "AWS_LAMBDA_RUNTIME_API is not set: this program is started by Lambda" in done.stderr


def test_where_nobody_listens_it_says_so_in_one_line(start: Start, api: Api) -> None:
    api.listener.close()
    _, errors = start(AWS_LAMBDA_RUNTIME_API="127.0.0.1:1").end(status=1)

    assert "cannot connect to AWS_LAMBDA_RUNTIME_API='127.0.0.1:1'" in errors
    assert 1 == errors.count("\n")


@pytest.mark.parametrize(
    "said",
    [
        answer(b'{"errorType":"Extension.RegistrationClosed"}', "403 Forbidden"),
        answer(b"", "500 Internal Server Error"),
        answer(b"{}"),  # no identifier
        b"garbage\r\n\r\n",
        b"",
    ],
    ids=["closed", "500", "no identifier", "garbage", "hang-up"],
)
def test_where_it_cannot_register_it_says_so_in_one_line(start: Start, said: bytes) -> None:
    extension = start()
    extension.refuse(said).close()
    _, errors = extension.end(status=1)

    assert errors.startswith("afterglow: ")
    assert 1 == errors.count("\n"), errors


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200", b"garbage\r\n\r\n"], ids=["nothing", "half", "garbage"])
def test_a_connection_that_breaks_is_made_anew(start: Start, api: Api, said: bytes) -> None:
    extension = start()
    peer = extension.register()
    extension.invoke("r-1")
    peer.say(said)
    peer.close()
    extension.peer = api.accept()
    extension.peer.expect("/event/next")
    extension.invoke("r-2")
    _, errors = extension.shut_down()

    assert errors.endswith(GIVES_UP)
    assert 1 == errors.count("\n")


def test_when_the_runtime_api_is_gone_it_goes_too(start: Start, api: Api) -> None:
    extension = start()
    peer = extension.register()
    api.listener.close()
    peer.close()
    _, errors = extension.end(status=1)

    assert "cannot connect" in errors


def test_refusals_are_not_answered_by_asking_ever_faster(start: Start, tmp_path: Path) -> None:
    extension = start(root=broken_copy(tmp_path / "broken", "main.py", "raise RuntimeError('broken')"))
    extension.register()
    extension.said()
    began_s = time.monotonic()
    for _ in range(5):
        extension.tell(answer(b'{"errorType":"Extension.UnknownExtensionIdentifier"}', "403 Forbidden"))
    took_s = time.monotonic() - began_s
    extension.shut_down()

    assert took_s > 0.01 + 0.02 + 0.04 + 0.08 + 0.16


def test_after_a_refusal_the_next_event_is_taken(start: Start) -> None:
    extension = start()
    extension.register()
    extension.tell(answer(b"", "500 Internal Server Error"))
    extension.invoke("r-1")
    extension.invoke("r-2")
    extension.shut_down()


def test_a_broken_name_for_the_hook_costs_one_line(start: Start, api: Api) -> None:
    first = start()
    first.register()
    second = start()
    second.register()
    _, errors = second.shut_down()

    assert "cannot listen for the hook" in errors
    assert 1 == errors.count("\n")


# -- its own output ----------------------------------------------------------------------------------------------


def test_a_full_disk_behind_stdout_is_counted(start: Start) -> None:
    with open("/dev/full", "w", encoding="ascii") as full:
        extension = start(stdout=full.fileno(), AFTERGLOW_FLUSH_SECONDS="1")
        extension.register()
        extension.invoke("r-1")
        extension.tell(SHUTDOWN, next_too=False)
        _, errors = extension.end()

    assert "" == errors
    assert 1 == len(extension.records("shutdown"))


def test_a_closed_stdout_changes_nothing(start: Start, tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    extension = start(stdout=write_end)
    os.close(write_end)
    extension.register()
    extension.invoke("r-1")
    extension.invoke("r-2")
    _, errors = extension.shut_down()

    assert "" == errors
    assert [1, 2] == [invocation["index"] for invocation in extension.records("invocation")]


def test_a_records_file_that_cannot_be_written_changes_nothing(start: Start) -> None:
    extension = start(AFTERGLOW_RECORDS_FILE="/proc/nowhere/records")
    extension.register()
    extension.invoke("r-1")
    _, errors = extension.shut_down()

    assert "" == errors


def test_a_bad_setting_costs_one_line(start: Start) -> None:
    extension = start(AFTERGLOW_FLUSH_SECONDS="often")
    extension.register()
    extension.invoke("r-1")
    _, errors = extension.shut_down()

    assert "AFTERGLOW_FLUSH_SECONDS='often' is not a whole number of seconds, 1 to 900; using 60" in errors
    assert 1 == errors.count("\n")
