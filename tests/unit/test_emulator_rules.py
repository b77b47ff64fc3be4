"""The emulator's rules, without processes: state tables, subscriptions, environments, batches, figures, /proc."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from afterglow_layer.emulator import InitType, Journal, LambdaSettings, Misbehaviour, NeverSeen, facts, members, tamper
from afterglow_layer.emulator.environ import RUNTIME_ONLY, extension_environ, runtime_environ
from afterglow_layer.emulator.figures import SUCCESS, TIMED_OUT, Ending, Report, billed_ms, report_line
from afterglow_layer.emulator.runtime_api import valid_error_type
from afterglow_layer.emulator.states import (
    EXTENSION_NEXT,
    RUNTIME_NEXT,
    ExtensionCall,
    ExtensionState,
    Refused,
    RuntimeCall,
    RuntimeState,
    next_extension_state,
    next_runtime_state,
)
from afterglow_layer.emulator.telemetry_api import parse_subscription
from afterglow_layer.emulator.telemetry_events import event, in_schema, iso_time, log_record

GOOD: dict[str, Any] = {
    "schemaVersion": "2022-12-13",
    "types": ["platform", "function"],
    "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:4243/lambda"},
}
EVENTS = [{"type": "platform.start", "record": {"n": n}} for n in range(3)]
ENVIRON = {"PATH": "/bin", "SECRET": "of the test's own"}


def parse(**changes: object) -> Any:
    return parse_subscription(json.dumps({**GOOD, **changes}).encode(), facts.SCHEMAS)


@pytest.mark.parametrize(("state", "call"), list(product(ExtensionState, ExtensionCall)))
def test_an_extension_makes_a_move_of_the_table_or_is_refused(state: ExtensionState, call: ExtensionCall) -> None:
    if (state, call) in EXTENSION_NEXT:
        assert EXTENSION_NEXT[state, call] is next_extension_state(state, call, "me")
        return
    with pytest.raises(Refused, match=f"from {state.value} to {call.value} failed for extension me") as refused:
        next_extension_state(state, call, "me")
    assert (403, "Extension.InvalidExtensionState") == (refused.value.status, refused.value.error_type)


@pytest.mark.parametrize(("state", "call"), list(product(RuntimeState, RuntimeCall)))
def test_a_runtime_makes_a_move_of_the_table_or_is_refused(state: RuntimeState, call: RuntimeCall) -> None:
    if (state, call) in RUNTIME_NEXT:
        assert RUNTIME_NEXT[state, call] is next_runtime_state(state, call)
        return
    with pytest.raises(Refused, match=f"from {state.value} to {call.value} failed for runtime") as refused:
        next_runtime_state(state, call)
    assert (403, "InvalidStateTransition") == (refused.value.status, refused.value.error_type)


def test_a_subscription_has_lambdas_defaults() -> None:
    assert ("2022-12-13", ("platform", "function"), "HTTP", 4243, "/lambda", 10_000, 262_144, 1_000) == parse()


@pytest.mark.parametrize("name", list(facts.BUFFERING_LIMITS))
@pytest.mark.parametrize("which", [0, 1], ids=["smallest", "largest"])
def test_buffering_takes_its_limits_and_nothing_beyond(name: str, which: int) -> None:
    limit = facts.BUFFERING_LIMITS[name][which]
    beyond = limit + (1 if which else -1)

    assert limit in parse(buffering={name: limit})
    with pytest.raises(Refused, match=rf"buffering\.{name}"):
        parse(buffering={name: beyond})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"schemaVersion": "2020-01-01"}, "schemaVersion"),
        ({"schemaVersion": None}, "schemaVersion"),
        ({"types": []}, "types"),
        ({"types": ["traces"]}, "types"),
        ({"types": "platform"}, "types"),
        ({"destination": None}, "destination"),
        ({"destination": {"protocol": "UDP"}}, r"destination\.protocol"),
        ({"destination": {"protocol": "TCP", "port": 0}}, r"destination\.port"),
        ({"destination": {"protocol": "TCP", "port": "4243"}}, r"destination\.port"),
        ({"destination": {"protocol": "HTTP", "URI": "http://127.0.0.1:4243"}}, r"host must be sandbox\.localdomain"),
        ({"buffering": {"maxItems": True}}, r"buffering\.maxItems"),
        ({"buffering": []}, "buffering"),
    ],
)
def test_a_wrong_subscription_is_a_validation_error(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(Refused, match=complaint) as refused:
        parse(**changes)

    assert (400, "ValidationError") == (refused.value.status, refused.value.error_type)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null"])
def test_a_subscription_that_is_no_object_is_a_validation_error(body: bytes) -> None:
    with pytest.raises(Refused, match="ValidationError"):
        parse_subscription(body, facts.SCHEMAS)


def test_extensions_see_no_private_key_and_none_of_the_runtimes_own() -> None:
    settings = LambdaSettings(xray=True, env={"_MINE": "1", "MINE": "1"})
    runtime = runtime_environ(settings, "127.0.0.1:9001", ENVIRON)
    extension = extension_environ(settings, "127.0.0.1:9001", ENVIRON)

    assert {"_MINE", "_HANDLER", *RUNTIME_ONLY} == runtime.keys() - extension.keys()
    assert extension.items() <= runtime.items()


def test_nothing_of_our_own_environment_leaks_in_but_the_path() -> None:
    runtime = runtime_environ(LambdaSettings(), "127.0.0.1:9001", ENVIRON)

    assert ("/bin", None) == (runtime["PATH"], runtime.get("SECRET"))


@pytest.mark.parametrize("init_type", list(InitType))
def test_only_managed_instances_are_given_a_concurrency(init_type: InitType) -> None:
    runtime = runtime_environ(LambdaSettings(init_type=init_type, max_concurrency=4), "127.0.0.1:9001", {})

    assert init_type.value == runtime["AWS_LAMBDA_INITIALIZATION_TYPE"]
    assert ("4" if init_type is InitType.MANAGED else None) == runtime.get("AWS_LAMBDA_MAX_CONCURRENCY")


def test_a_batch_goes_out_as_it_is_without_misbehaviour() -> None:
    [parcel] = tamper.parcels(EVENTS, Misbehaviour())

    assert (EVENTS, 3, 0, 0, False) == (json.loads(parcel.body), *parcel[1:])


def test_faults_of_batches_combine() -> None:
    parcels = tamper.parcels(EVENTS, Misbehaviour(split_batches=True, duplicate_batches=True, oversize_bytes=1000))

    assert [2] * 6 == [parcel.events for parcel in parcels]
    assert all(len(parcel.body) > 1000 for parcel in parcels)


def test_a_malformed_batch_is_no_json() -> None:
    [parcel] = tamper.parcels(EVENTS, Misbehaviour(malformed_batches=True))

    with pytest.raises(ValueError, match=r".+"):
        json.loads(parcel.body)


def test_tcp_listeners_get_a_line_per_event() -> None:
    [parcel] = tamper.parcels(EVENTS, Misbehaviour(), "TCP")

    assert EVENTS == [json.loads(line) for line in parcel.body.splitlines()]


def test_a_batch_sent_twice_has_one_sequence_id() -> None:
    one, two = tamper.parcels(EVENTS, Misbehaviour(duplicate_batches=True))

    assert tamper.sequence_id(one.body) == tamper.sequence_id(two.body) != tamper.sequence_id(b"")


def test_times_are_iso_with_milliseconds() -> None:
    assert "2022-10-12T00:00:15.064Z" == iso_time(1665532815064.9)


@pytest.mark.parametrize(
    ("line", "log_format", "record"),
    [
        ('{"a": 1}', "JSON", {"a": 1}),
        ('{"a": 1}', "Text", '{"a": 1}'),
        ("plain", "JSON", "plain"),
        ("[1]", "JSON", "[1]"),
    ],
)
def test_log_lines_become_objects_only_when_the_function_logs_json(line: str, log_format: str, record: object) -> None:
    assert record == log_record(line, log_format)


def test_the_oldest_schema_has_strings_alone_as_log_records() -> None:
    log = event("function", {"a": 1}, 0)
    platform = event("platform.start", {"a": 1}, 0)

    assert '{"a": 1}' == in_schema(log, "2022-07-01")["record"]
    assert log == in_schema(log, "2022-12-13")
    assert platform == in_schema(platform, "2022-07-01")


@pytest.mark.parametrize(
    ("duration_ms", "init_ms", "bill_init", "billed"),
    [(0.01, None, True, 1), (1.0, None, True, 1), (1.2, 100.1, True, 102), (1.2, 100.1, False, 2)],
)
def test_billing_rounds_up_to_the_millisecond(
    duration_ms: float, init_ms: float | None, bill_init: bool, billed: int
) -> None:
    assert billed == billed_ms(duration_ms, init_ms, bill_init=bill_init)


def test_the_report_line_shows_what_there_is() -> None:
    cold = report_line("r1", SUCCESS, Report(1.234, 57, 128, 40, init_ms=55.5))
    late = report_line("r2", TIMED_OUT, Report(3000.0, 3000, 128, None))
    broken = report_line("r3", Ending("error", "Runtime.ExitError"), Report(1.0, 1, 128, None))

    head = "REPORT RequestId: r1\tDuration: 1.23 ms\tBilled Duration: 57 ms\tMemory Size: 128 MB\t"
    assert head + "Max Memory Used: 40 MB\tInit Duration: 55.50 ms" == cold
    assert late.endswith("Memory Size: 128 MB\tStatus: timeout")
    assert broken.endswith("Status: error\tError Type: Runtime.ExitError")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Runtime.ImportModuleError", "Runtime.ImportModuleError"),
        ("Function.Wrong", "Function.Wrong"),
        ("Function.3", "Function.Unknown"),
        ("ValueError", "Runtime.Unknown"),
        ("", "Runtime.Unknown"),
    ],
)
def test_error_types_are_shown_as_the_platform_does(given: str, shown: str) -> None:
    assert shown == valid_error_type(given)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Make a /proc of six: our session, its child that left, a stranger, a zombie, one gone, and no process."""

    def process(pid: int, stat: str | None, environ: bytes = b"", status: str = "") -> None:
        folder = tmp_path / str(pid)
        folder.mkdir()
        if stat is not None:
            (folder / "stat").write_text(f"{pid} {stat}")
        (folder / "environ").write_bytes(environ)
        (folder / "status").write_text(status)

    process(10, "(run time) (x) S 1 10 10 0 -1", status="Name:\tpython\nVmHWM:\t    2048 kB\n")
    process(11, "(sh) S 10 11 11 0 -1", status="VmHWM:\t1024 kB\n")
    process(12, "(stranger) S 1 12 12 0 -1", b"AWS_LAMBDA_RUNTIME_API=127.0.0.1:1\0", "VmHWM:\t9 kB\n")
    process(13, "(daemon) S 1 13 13 0 -1", b"A=1\0AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001\0B=2\0")
    process(14, "(zombie) Z 10 10 10 0 -1")
    process(15, None)
    (tmp_path / "meminfo").write_text("")
    return tmp_path


def test_members_are_found_by_session_by_parent_and_by_environment(proc: Path) -> None:
    assert {10, 11, 13} == members.find_members({10}, "127.0.0.1:9001", proc)


def test_memory_is_summed_over_those_that_can_be_read(proc: Path) -> None:
    assert 3 * 2**20 == members.sum_peak_rss_bytes([10, 11, 15, 99], proc)
    assert members.sum_peak_rss_bytes([99], proc) is None


def test_the_living_are_neither_zombies_nor_gone(proc: Path) -> None:
    assert {10, 11} == members.living([10, 11, 14, 15, 99], proc)


def test_a_journal_finds_the_past_and_says_what_it_has_when_there_is_nothing() -> None:
    journal = Journal()
    first = journal.note("one", "me", n=1)
    journal.note("one", "me", n=2)

    assert first == journal.wait_for(lambda seen: seen.kind == "one")
    assert 2 == journal.wait_for(lambda seen: seen.kind == "one", after=first).detail["n"]
    with pytest.raises(NeverSeen, match=r"the last of 2 events:(.|\n)*one  me  n=2"):
        journal.wait_for(lambda seen: seen.kind == "two", timeout_s=0.01)
