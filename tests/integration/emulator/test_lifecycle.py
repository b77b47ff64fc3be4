"""Freeze, init types, shutdown reasons, leftovers: what real Lambda does and RIE does not."""

import time
from pathlib import Path

import pytest
from tests.integration.emulator.conftest import StartLambda
from tests.integration.emulator.listener import all_said, listens, types_got, wait_said, wait_telemetry
from tests.integration.emulator.stage import write_extension, write_handler

from afterglow_layer.emulator import InitType, Lambda, LambdaSettings, NeverSeen, Seen

GOOD = "register(); loop()"
TICKS = """
import os, threading, time
def tick():
    while True:
        os.write(1, b"tick\\n")
        time.sleep(0.01)
def handler(event, context):
    if event.get("start"):
        threading.Thread(target=tick, daemon=True).start()
    time.sleep(0.05)
"""
LEAVES_A_DAEMON = """
import subprocess, sys, time
def handler(event, context):
    code = "import os, time\\nwhile True: os.write(1, b'tick\\\\n'); time.sleep(0.01)"
    subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    time.sleep(0.3)
"""


def ticks(function: Lambda, after: Seen | None = None) -> list[Seen]:
    start = 0 if after is None else after.at_mono_ns
    return [seen for seen in function.events if seen.detail.get("line") == "tick" and seen.at_mono_ns > start]


@pytest.mark.parametrize("freezer", ["auto", "sigstop"])
@pytest.mark.parametrize("handler", [TICKS, LEAVES_A_DAEMON], ids=["thread", "daemon in a session of its own"])
def test_nothing_moves_between_two_invocations(start_lambda: StartLambda, handler: str, freezer: str) -> None:
    function = start_lambda(handler, freezer=freezer)
    function.invoke({"start": True})
    function.settle()
    time.sleep(0.1)  # Lines that were in the pipe; then the time in which nothing may happen.
    before = len(ticks(function))
    time.sleep(0.3)

    assert 0 < before == len(ticks(function))

    thawed = function.invoke()

    function.settle()
    assert 200 == thawed.status
    assert len(ticks(function)) > before


def test_freeze_can_be_off(start_lambda: StartLambda) -> None:
    function = start_lambda(TICKS, freeze=False)
    function.invoke({"start": True})
    function.settle()
    settled = function.events[-1]

    function.wait_for(lambda seen: seen.detail.get("line") == "tick", after=settled)


def test_a_daemon_that_left_its_session_ends_with_the_environment(start_lambda: StartLambda) -> None:
    function = start_lambda(LEAVES_A_DAEMON, {"good": GOOD})
    function.invoke()
    function.shutdown()
    done = next(seen for seen in function.events if seen.kind == "shutdown.done")
    time.sleep(0.1)

    assert [] == ticks(function, after=done)


@pytest.mark.parametrize("reason", ["SPINDOWN", "TIMEOUT", "FAILURE"])
def test_shutdown_carries_the_reason_asked_for(start_lambda: StartLambda, reason: str) -> None:
    function = start_lambda(extensions={"good": GOOD})
    function.invoke()
    function.shutdown(reason)

    assert [reason] == [
        each["event"]["shutdownReason"]
        for each in all_said(function, "event")
        if each["event"]["eventType"] == "SHUTDOWN"
    ]


@pytest.mark.parametrize(
    ("extensions", "budget_ms"),
    [({}, 0), ({"good": GOOD}, 2000)],
    ids=["no extension", "external extension"],
)
def test_the_shutdown_budget_depends_on_the_extensions(
    start_lambda: StartLambda, extensions: dict[str, str], budget_ms: int
) -> None:
    function = start_lambda(extensions=extensions)
    function.invoke()
    function.shutdown()

    assert [budget_ms] == [seen.detail["budget_ms"] for seen in function.events if seen.kind == "shutdown.start"]


def test_an_internal_extension_has_500_ms(start_lambda: StartLambda) -> None:
    function = start_lambda(
        """
        import http.client, json, os, threading
        def call(method, path, body=None, **headers):
            connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
            connection.request(method, "/2020-01-01/extension" + path, body, headers)
            return connection.getresponse()
        def listen():
            while True:
                status = call("GET", "/event/next", **{"Lambda-Extension-Identifier": me}).status
                print("inside got", status, flush=True)
        answer = call("POST", "/register", json.dumps({"events": ["INVOKE"]}), **{"Lambda-Extension-Name": "inside"})
        me = answer.headers["Lambda-Extension-Identifier"]
        threading.Thread(target=listen, daemon=True).start()
        def handler(event, context):
            return "ok"
        """
    )
    answer = function.invoke()
    function.shutdown()

    assert (200, b'"ok"') == (answer.status, answer.body)
    assert [500] == [seen.detail["budget_ms"] for seen in function.events if seen.kind == "shutdown.start"]
    assert any(seen.detail.get("line") == "inside got 200" for seen in function.events)


def test_extensions_get_none_of_the_runtimes_variables(start_lambda: StartLambda) -> None:
    function = start_lambda(
        "import os\ndef handler(event, context):\n    return dict(os.environ)\n",
        {"looks": "register(); say(said='keys', keys=list(os.environ)); loop()"},
        xray=True,
        env={"MINE": "1", "_PRIVATE": "1"},
    )
    runtime = function.invoke().json()
    extension = set(wait_said(function, "keys")["keys"])

    hidden = {
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_XRAY_CONTEXT_MISSING",
        "AWS_XRAY_DAEMON_ADDRESS",
        "LAMBDA_TASK_ROOT",
        "_HANDLER",
        "_PRIVATE",
    }
    assert hidden <= set(runtime)
    assert set() == hidden & extension
    assert {"MINE", "AWS_LAMBDA_INITIALIZATION_TYPE"} <= extension
    assert "on-demand" == runtime["AWS_LAMBDA_INITIALIZATION_TYPE"]


def test_provisioned_concurrency_initialises_before_the_first_invocation(start_lambda: StartLambda) -> None:
    function = start_lambda(extensions={"ears": listens()}, init_type=InitType.PROVISIONED)

    assert ["init"] == [seen.detail["phase"] for seen in function.events if seen.kind == "init.done"]
    assert "freeze" == [seen.kind for seen in function.events if "freeze" in seen.kind][-1]

    answer = function.invoke()
    function.shutdown()

    assert 200 == answer.status
    assert "provisioned-concurrency" == wait_telemetry(function, "platform.initStart")["initializationType"]


def test_snap_start_runs_its_hooks_around_the_freeze_and_reports_the_restore(start_lambda: StartLambda) -> None:
    function = start_lambda(
        """
        from snapshot_restore_py import register_after_restore, register_before_snapshot
        seen = []
        register_before_snapshot(lambda: seen.append("before snapshot"))
        register_after_restore(lambda: seen.append("after restore"))
        def handler(event, context):
            return seen
        """,
        {"ears": listens()},
        init_type=InitType.SNAP_START,
    )
    answer = function.invoke()
    function.shutdown()
    types = types_got(function)
    restores = [kind for kind in types if kind.startswith("platform.restore")]

    assert ["before snapshot", "after restore"] == answer.json()
    assert ["platform.restoreStart", "platform.restoreRuntimeDone", "platform.restoreReport"] == restores
    assert types.index("platform.initReport") < types.index("platform.restoreStart") < types.index("platform.start")
    assert "restoreDurationMs" in wait_telemetry(function, "platform.report")["metrics"]


def test_a_restore_hook_that_raises_fails_the_invocation(start_lambda: StartLambda) -> None:
    function = start_lambda(
        """
        from snapshot_restore_py import register_after_restore
        def fails():
            raise ValueError("no")
        register_after_restore(fails)
        def handler(event, context): ...
        """,
        {"ears": listens()},
        init_type=InitType.SNAP_START,
    )
    answer = function.invoke()

    assert 502 == answer.status
    assert "error" == wait_telemetry(function, "platform.restoreReport")["status"]


def test_managed_instances_refuse_invoke_and_serve_several_invocations_at_once(start_lambda: StartLambda) -> None:
    function = start_lambda(
        "import time\ndef handler(event, context):\n    time.sleep(0.5)\n    return event['n']\n",
        {"ears": listens(schema="2025-01-29", then="register(); register(['SHUTDOWN']); subscribe(); loop()")},
        init_type=InitType.MANAGED,
        max_concurrency=3,
    )
    ready = [seen for seen in function.events if seen.kind == "api.runtime-next"]
    function.wait_for(lambda _: len([seen for seen in function.events if seen.kind == "api.runtime-next"]) >= 3)
    invocations = [function.begin({"n": n}) for n in range(3)]
    answers = [invocation.wait() for invocation in invocations]
    function.shutdown()

    assert ready
    assert [b"0", b"1", b"2"] == [answer.body for answer in answers]
    assert max(answer.took_ms for answer in answers) < 1000
    assert [403, 200] == [each["status"] for each in all_said(function, "registered")]
    assert 3 == types_got(function).count("platform.report")
    assert "platform.runtimeDone" not in types_got(function)


def test_managed_instances_end_with_a_crash_and_start_anew(start_lambda: StartLambda) -> None:
    function = start_lambda(
        "import os, time\ndef handler(event, context):\n    event.get('die') and die()\n    return 1\n"
        "def die():\n    os.kill(os.getppid(), 9)\n    time.sleep(60)\n",
        {"good": "register(['SHUTDOWN']); loop()"},
        init_type=InitType.MANAGED,
    )

    assert 502 == function.invoke({"die": True}).status
    function.settle()
    assert (200, b"1") == function.invoke()[:2]


def test_invocations_queue_up_one_after_the_other(start_lambda: StartLambda) -> None:
    function = start_lambda("import time\ndef handler(event, context):\n    time.sleep(0.1)\n    return event['n']\n")
    invocations = [function.begin({"n": n}) for n in range(3)]
    answers = {invocation.wait().body for invocation in invocations}

    assert {b"0", b"1", b"2"} == answers


def test_a_response_beyond_6_mib_is_refused(start_lambda: StartLambda) -> None:
    function = start_lambda("def handler(event, context):\n    return 'x' * event['bytes']\n")

    assert 6 * 2**20 == len(function.invoke({"bytes": 6 * 2**20 - 2}).body)
    answer = function.invoke({"bytes": 6 * 2**20 + 200})
    assert "Function.ResponseSizeTooLarge" == answer.error_type == answer.json()["errorType"]


def test_an_event_of_6_mib_gets_through(start_lambda: StartLambda) -> None:
    function = start_lambda("def handler(event, context):\n    return len(event['text'])\n")

    assert b"6000000" == function.invoke({"text": "x" * 6_000_000}).body


def test_ten_extensions_are_fine_and_eleven_are_not(start_lambda: StartLambda) -> None:
    ten = start_lambda(extensions={f"e{n}": GOOD for n in range(10)})
    eleven = start_lambda(extensions={f"e{n}": GOOD for n in range(11)})

    assert 200 == ten.invoke().status
    answer = eleven.invoke()
    assert (502, "Extension.LaunchError") == (answer.status, answer.error_type)


def test_a_failed_test_ends_everyone_at_once(tmp_path: Path) -> None:
    runtime = write_handler(tmp_path, LEAVES_A_DAEMON + "    time.sleep(100)\n")
    stays = write_extension(tmp_path / "ext", "stays", "register(); next_event(); time.sleep(100)")
    function = Lambda(runtime, [stays], LambdaSettings(cwd=tmp_path, timeout_ms=60_000))

    def fail_midway() -> None:
        with function:
            function.begin()
            function.wait_for(lambda seen: seen.detail.get("line") == "tick")
            raise LookupError("the test failed")

    with pytest.raises(LookupError):
        fail_midway()
    function.wait_for(lambda seen: seen.kind == "invoke.done")

    failed_at_ns = next(seen.at_mono_ns for seen in function.events if seen.detail.get("line") == "tick")
    assert (time.monotonic_ns() - failed_at_ns) / 1e9 < 3
    ended = {seen.who for seen in function.events if seen.kind == "process.exit"}
    assert {"runtime", "stays"} == ended


def test_waiting_in_vain_shows_what_did_happen(start_lambda: StartLambda) -> None:
    function = start_lambda()
    function.invoke()

    with pytest.raises(NeverSeen, match=r"not seen within 0\.1 s(.|\n)*reply\.runtime-next  runtime"):
        function.wait_for(lambda seen: seen.kind == "unheard of", timeout_s=0.1)
