"""What RIE shows, the built-in emulator shows as well: every test here runs against both."""

import json
import time
from typing import Any

import pytest
from tests.integration.emulator.conftest import StartPlatform
from tests.integration.emulator.stage import Platform

GOOD = "register(); loop()"
TIMES_OUT = "import time\ndef handler(event, context):\n    time.sleep(event.get('s', 0))\n    return 'ok'\n"

# The client waits in C for its next invocation, so a handler written in Python would not run: a thread waits instead.
ON_SIGTERM = """
import os, signal, threading, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
def wait():
    signal.sigwait([signal.SIGTERM])
    os.write(1, f"SIGTERM {{time.monotonic()}}\\n".encode())
    {then}
threading.Thread(target=wait, daemon=True).start()
def handler(event, context): ...
"""


def is_shutdown(said: dict[str, Any]) -> bool:
    return said.get("said") == "event" and said["event"]["eventType"] == "SHUTDOWN"


def sigterm_at_s(platform: Platform) -> float:
    return next(float(line.split()[1]) for line in platform.log if line.startswith("SIGTERM"))


def test_the_caller_gets_what_the_handler_returned(start_platform: StartPlatform) -> None:
    platform = start_platform(good=GOOD)

    assert (200, b'{"n": 1}') == platform.invoke({"n": 1})


def test_a_handler_that_raises_is_answered_with_200_and_nothing_restarts(start_platform: StartPlatform) -> None:
    platform = start_platform(
        """
        calls = 0
        def handler(event, context):
            global calls
            calls += 1
            if calls == 1:
                raise ValueError("no")
            return calls
        """,
        good=GOOD,
    )
    status, body = platform.invoke()

    assert (200, "ValueError") == (status, json.loads(body)["errorType"])
    assert (200, b"2") == platform.invoke()


def test_a_handler_that_does_not_import_is_answered_with_502_and_the_runtimes_error(
    start_platform: StartPlatform,
) -> None:
    status, body = start_platform("import nowhere_to_be_found").invoke()

    assert (502, "Runtime.ImportModuleError") == (status, json.loads(body)["errorType"])


def test_a_runtime_that_exits_is_answered_with_502_then_everything_starts_anew(start_platform: StartPlatform) -> None:
    platform = start_platform(
        "import os\ndef handler(event, context):\n    os._exit(3) if event else None\n    return 'alive'\n", good=GOOD
    )

    assert 502 == platform.invoke({"exit": True}).status
    platform.wait_for(is_shutdown)
    assert (200, b'"alive"') == platform.invoke()
    assert 2 == len([said for said in platform.said if said["said"] == "registered"])


def test_a_timeout_is_a_200_that_says_so_and_shutdown_names_it(start_platform: StartPlatform) -> None:
    platform = start_platform(TIMES_OUT, timeout_s=1, good=GOOD)
    status, body = platform.invoke({"s": 5})

    assert 200 == status
    assert b"Task timed out after 1.00 seconds" in body
    assert "timeout" == platform.wait_for(is_shutdown)["event"]["shutdownReason"].lower()
    assert (200, b'"ok"') == platform.invoke()


def test_an_extension_that_exits_after_register_is_a_502_without_a_body(start_platform: StartPlatform) -> None:
    assert (502, b"") == start_platform(leaves="register(); sys.exit(0)").invoke()


def test_an_extension_that_reports_an_init_error_is_a_502_without_a_body(start_platform: StartPlatform) -> None:
    platform = start_platform(
        fails="""
        register()
        headers = me(**{"Lambda-Extension-Function-Error-Type": "Extension.Unfit"})
        status, _, body = call("POST", f"{EXTENSION}/init/error", headers=headers)
        say(said="reported", status=status, body=body)
        sys.exit(1)
        """
    )

    assert (502, b"") == platform.invoke()
    reported = platform.wait_for(lambda said: said["said"] == "reported")
    assert (202, {"status": "OK"}) == (reported["status"], json.loads(reported["body"]))


def test_a_file_without_run_bit_among_the_extensions_fails_every_invocation(start_platform: StartPlatform) -> None:
    platform = start_platform(no_run_bit="register(); loop()")

    assert [502, 502] == [platform.invoke().status, platform.invoke().status]


def test_an_extension_that_dies_during_an_invocation_is_a_502_with_the_functions_body(
    start_platform: StartPlatform,
) -> None:
    platform = start_platform(
        "def handler(event, context):\n    return 'answered'\n",
        dies="register(); next_event(); time.sleep(0.5); os._exit(1)",
    )

    assert (502, b'"answered"') == platform.invoke()


def test_an_extension_that_never_registers_keeps_the_runtime_from_starting(start_platform: StartPlatform) -> None:
    platform = start_platform("print('imported')\ndef handler(event, context): ...", timeout_s=1, mute="time.sleep(60)")

    assert b"Task timed out after 1.00 seconds" in platform.invoke().body
    assert "imported" not in platform.log


def test_all_extensions_register_before_the_runtime_starts(start_platform: StartPlatform) -> None:
    platform = start_platform(
        "import time\nBEGAN = time.monotonic()\ndef handler(event, context):\n    return BEGAN\n",
        quick=GOOD,
        slow="time.sleep(0.3); register(); loop()",
    )
    runtime_began_s = float(platform.invoke().body)

    registered_at_s = [said["at_mono_s"] for said in platform.said if said["said"] == "registered"]
    assert 2 == len(registered_at_s)
    assert max(registered_at_s) < runtime_began_s


def test_an_extension_still_busy_with_invoke_delays_the_answer(start_platform: StartPlatform) -> None:
    platform = start_platform(busy="register(); next_event(); time.sleep(0.5); say(said='done'); loop()")
    platform.invoke()
    answered_at_s = time.monotonic()

    assert platform.wait_for(lambda said: said["said"] == "done")["at_mono_s"] < answered_at_s


def test_invoke_carries_what_an_extension_needs_and_tracing_only_if_there_is_some(
    start_platform: StartPlatform,
) -> None:
    platform = start_platform(good=GOOD)
    platform.invoke()
    platform.invoke(**{"X-Amzn-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1"})

    platform.wait_for(lambda _: len(platform.events("good")) >= 2)  # an extension may speak after the answer

    plain, traced = [said["event"] for said in platform.events("good")[:2]]
    assert ["deadlineMs", "eventType", "invokedFunctionArn", "requestId"] == sorted(plain)
    assert {"type": "X-Amzn-Trace-Id", "value": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1"} == traced[
        "tracing"
    ]
    assert plain["invokedFunctionArn"].startswith("arn:aws:lambda:us-east-1:012345678912:function:")


def test_shutdown_comes_as_plain_text_after_the_runtime_has_died(start_platform: StartPlatform) -> None:
    platform = start_platform(
        ON_SIGTERM.format(then="os._exit(0)"),
        good=GOOD,
    )
    platform.invoke()
    platform.shut_down()
    shutdown = platform.wait_for(is_shutdown)

    assert ["deadlineMs", "eventType", "shutdownReason"] == sorted(shutdown["event"])
    assert shutdown["content_type"].startswith("text/plain")
    assert sigterm_at_s(platform) < shutdown["at_mono_s"]


def test_a_stubborn_runtime_has_600_ms_and_the_extension_what_is_left_of_2_s(start_platform: StartPlatform) -> None:
    platform = start_platform(
        ON_SIGTERM.format(then="pass"),
        stays="""
        register()
        loop()
        for _ in range(100):
            time.sleep(0.1)
            say(said="alive")
        """,
    )
    platform.invoke()
    platform.shut_down()
    told_at_s = platform.wait_for(is_shutdown)["at_mono_s"]
    died_at_s = max(said["at_mono_s"] for said in platform.said)

    assert 0.6 == pytest.approx(told_at_s - sigterm_at_s(platform), abs=0.2)
    assert 2.0 == pytest.approx(died_at_s - sigterm_at_s(platform), abs=0.3)


def test_an_extension_that_did_not_ask_for_shutdown_is_killed(start_platform: StartPlatform) -> None:
    platform = start_platform(deaf="register(['INVOKE']); next_event(); next_event()")
    platform.invoke()
    platform.shut_down()

    assert ["INVOKE"] == [said["event"]["eventType"] for said in platform.events("deaf")]


def test_the_runtime_is_told_its_handler_and_extensions_are_not(start_platform: StartPlatform) -> None:
    platform = start_platform(
        "import os\ndef handler(event, context):\n    return sorted(os.environ)\n",
        looks="register(); say(said='keys', keys=sorted(os.environ)); loop()",
    )
    runtime_keys = set(json.loads(platform.invoke().body))
    extension_keys = set(platform.wait_for(lambda said: said["said"] == "keys")["keys"])

    needed = {
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    }
    assert "_HANDLER" in runtime_keys
    assert not {key for key in extension_keys if key.startswith("_")}
    assert needed <= runtime_keys
    assert needed <= extension_keys
