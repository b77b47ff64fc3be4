"""What the Telemetry API delivers, to an extension that listens for real."""

import json
import math

import pytest
from tests.integration.emulator.conftest import StartLambda
from tests.integration.emulator.listener import all_said, listens, types_got, wait_said, wait_telemetry

from afterglow_layer.emulator import Misbehaviour

COLD_INVOCATION = [
    "platform.initStart",
    "platform.telemetrySubscription",
    "platform.initRuntimeDone",
    "platform.extension",
    "platform.initReport",
    "platform.start",
    "platform.runtimeDone",
    "platform.report",
]
BREAKS = """
import ctypes, os, time
def handler(event, context):
    if event.get("exit"): os._exit(3)
    if event.get("raise"): raise ValueError("no")
    if event.get("segfault"): ctypes.string_at(0)
    time.sleep(event.get("s", 0))
    return "x" * event.get("bytes", 0)
"""


@pytest.mark.parametrize("schema", ["2022-07-01", "2022-12-13", "2025-01-29"])
def test_a_cold_invocation_has_these_events_in_this_order(start_lambda: StartLambda, schema: str) -> None:
    function = start_lambda(extensions={"ears": listens(schema=schema)})
    function.invoke()
    function.shutdown()

    assert COLD_INVOCATION == types_got(function)


def test_the_report_comes_after_the_thaw_when_the_environment_froze_first(start_lambda: StartLambda) -> None:
    function = start_lambda(BREAKS, {"ears": listens()})
    first = function.invoke().request_id
    function.settle()

    assert "platform.report" not in types_got(function)

    function.invoke({"s": 0.2})

    assert "success" == wait_telemetry(function, "platform.report", of=first)["status"]


def test_figures_of_an_invocation_add_up(start_lambda: StartLambda) -> None:
    function = start_lambda(BREAKS, {"ears": listens()})
    request = function.invoke({"s": 0.1, "bytes": 1000}).request_id
    function.shutdown()
    done = wait_telemetry(function, "platform.runtimeDone", of=request)
    report = wait_telemetry(function, "platform.report", of=request)["metrics"]
    spans = {span["name"]: span["durationMs"] for span in done["spans"]}

    assert 1002 == done["metrics"]["producedBytes"]
    assert ["responseDuration", "responseLatency", "runtimeOverhead"] == sorted(spans)
    assert done["metrics"]["durationMs"] == pytest.approx(sum(spans.values()), abs=1.0)
    assert 100 <= spans["responseLatency"] <= done["metrics"]["durationMs"] <= report["durationMs"]
    assert math.ceil(report["durationMs"] + report["initDurationMs"]) == pytest.approx(
        report["billedDurationMs"], abs=1
    )
    assert 128 == report["memorySizeMB"]
    assert 10 < report["maxMemoryUsedMB"] < 500


def test_only_the_first_invocation_reports_an_init(start_lambda: StartLambda) -> None:
    function = start_lambda(extensions={"ears": listens()})
    function.invoke()
    second = function.invoke().request_id
    function.shutdown()
    metrics = wait_telemetry(function, "platform.report", of=second)["metrics"]

    assert "initDurationMs" not in metrics
    assert math.ceil(metrics["durationMs"]) == metrics["billedDurationMs"]


def test_an_extensions_time_after_the_response_is_billed_but_not_waited_for(start_lambda: StartLambda) -> None:
    then = "register(); subscribe()\nwhile next_event()['eventType'] == 'INVOKE': time.sleep(0.4)"
    function = start_lambda(extensions={"ears": listens(then=then)})
    function.invoke()
    function.settle()
    answer = function.invoke()
    function.shutdown()
    report = wait_telemetry(function, "platform.report", of=answer.request_id)

    assert answer.took_ms < 300
    assert 400 <= report["metrics"]["billedDurationMs"]
    assert ["extensionOverhead"] == [span["name"] for span in report["spans"]]


def test_a_handler_that_raised_is_a_success_to_the_platform(start_lambda: StartLambda) -> None:
    function = start_lambda(BREAKS, {"ears": listens()})
    answer = function.invoke({"raise": True})
    function.shutdown()

    assert (200, "ValueError") == (answer.status, answer.error_type)
    assert "success" == wait_telemetry(function, "platform.runtimeDone", of=answer.request_id)["status"]


@pytest.mark.parametrize(
    ("event", "status", "error_type", "words"),
    [
        ({"exit": True}, "error", "Runtime.ExitError", "exit status 3"),
        ({"segfault": True}, "error", "Runtime.ExitError", "signal: segmentation fault"),
        ({"s": 5}, "timeout", None, "Task timed out after 1.00 seconds"),
    ],
    ids=["exit", "segfault", "timeout"],
)
def test_a_broken_invocation_is_told_before_shutdown(
    start_lambda: StartLambda, event: dict[str, object], status: str, error_type: str | None, words: str
) -> None:
    function = start_lambda(BREAKS, {"ears": listens()}, timeout_ms=1000)
    answer = function.invoke(event)
    done = wait_telemetry(function, "platform.runtimeDone", of=answer.request_id)
    report = wait_telemetry(function, "platform.report", of=answer.request_id)

    assert words in answer.json()["errorMessage"]
    assert [status, status] == [done["status"], report["status"]]
    assert [error_type, error_type] == [done.get("errorType"), report.get("errorType")]


def test_after_a_crash_init_runs_inside_the_next_invocation(start_lambda: StartLambda) -> None:
    function = start_lambda(BREAKS, {"ears": listens()})
    function.invoke({"exit": True})
    second = function.invoke()
    function.shutdown()
    phases = [
        each["record"]["phase"] for each in all_said(function, "telemetry") if each["type"] == "platform.initReport"
    ]

    assert ["init", "invoke"] == phases
    assert "initDurationMs" not in wait_telemetry(function, "platform.report", of=second.request_id)["metrics"]


def test_a_failed_init_is_tried_again_inside_the_invocation(start_lambda: StartLambda) -> None:
    function = start_lambda("import nowhere_to_be_found", {"ears": listens()})
    answer = function.invoke()
    function.settle()

    inits = [
        (seen.detail["record"]["phase"], seen.detail["record"]["status"], seen.detail["record"]["errorType"])
        for seen in function.events
        if seen.detail.get("type") == "platform.initReport"
    ]
    assert (502, "Runtime.ImportModuleError") == (answer.status, answer.json()["errorType"])
    assert [(phase, "error", "Runtime.ImportModuleError") for phase in ("init", "invoke")] == inits


def test_an_init_beyond_its_limit_is_tried_again_on_the_functions_time(start_lambda: StartLambda) -> None:
    slow_import = "import time\ntime.sleep(0.7)\ndef handler(event, context):\n    return 'late'\n"
    function = start_lambda(slow_import, {"ears": listens()}, init_timeout_ms=500)
    answer = function.invoke()

    inits = [(seen.detail["phase"], seen.detail["status"]) for seen in function.events if seen.kind == "init.done"]
    assert (200, b'"late"') == (answer.status, answer.body)
    assert [("init", "timeout"), ("invoke", "success")] == inits


@pytest.mark.parametrize(
    ("schema", "expected"), [("2022-07-01", '{"level": "INFO"}'), ("2022-12-13", {"level": "INFO"})]
)
def test_json_log_lines_are_objects_from_the_second_schema_on(
    start_lambda: StartLambda, schema: str, expected: object
) -> None:
    function = start_lambda(
        'def handler(event, context):\n    print(\'{"level": "INFO"}\')\n',
        {"ears": listens(schema=schema, types=("function",))},
        log_format="JSON",
    )
    function.invoke()
    function.shutdown()

    assert expected == wait_said(function, "telemetry")["record"]


def test_subscription_closes_with_the_init_phase(start_lambda: StartLambda) -> None:
    then = "register(); next_event(); subscribe(); loop()"
    function = start_lambda(extensions={"ears": listens(then=then)})
    function.invoke()
    subscribed = wait_said(function, "subscribed")

    assert 403 == subscribed["status"]
    assert {
        "errorMessage": "Telemetry API subscription is closed",
        "errorType": "Telemetry.SubscriptionClosed",
    } == json.loads(subscribed["body"])


def test_subscription_is_open_while_the_runtime_is_still_importing(start_lambda: StartLambda) -> None:
    then = """
register()
threading.Thread(target=loop).start()
time.sleep(0.1)
subscribe()
"""
    slow_import = "import time\ntime.sleep(0.6)\ndef handler(event, context): ...\n"
    function = start_lambda(slow_import, {"ears": listens(then=then)})
    function.invoke()
    function.shutdown()

    assert 200 == wait_said(function, "subscribed")["status"]
    assert "platform.initStart" == types_got(function)[0]


def test_without_a_telemetry_api_the_answer_is_202(start_lambda: StartLambda) -> None:
    function = start_lambda(extensions={"ears": listens()}, misbehave=Misbehaviour(telemetry_unsupported=True))
    function.invoke()
    subscribed = wait_said(function, "subscribed")

    assert 202 == subscribed["status"]
    assert {
        "errorMessage": "Telemetry API is not supported",
        "errorType": "Telemetry.NotSupported",
    } == json.loads(subscribed["body"])


def test_a_region_may_know_old_schemas_only(start_lambda: StartLambda) -> None:
    function = start_lambda(extensions={"ears": listens(schema="2025-01-29")}, telemetry_schemas=["2022-07-01"])
    function.invoke()
    subscribed = wait_said(function, "subscribed")

    assert (400, "ValidationError") == (subscribed["status"], json.loads(subscribed["body"])["errorType"])


def test_a_listener_that_answers_500_loses_the_batch_and_is_told_so(start_lambda: StartLambda) -> None:
    function = start_lambda(extensions={"ears": listens(status=500)}, freeze=False)
    function.invoke()
    dropped = wait_telemetry(function, "platform.logsDropped")

    assert "could not send events: 500" == dropped["reason"]
    assert 0 < dropped["droppedRecords"]
