"""The run document: records and calls in, plain dicts out; what is unknown stays null."""

import json
from typing import Any

from tests.unit.sample_runs import (
    CALLS,
    START_MS,
    call,
    ending,
    environment,
    facts,
    finding,
    init,
    invocation,
    records,
    resumed,
)

from afterglow.records import Loss, Overhead, Shutdown
from afterglow_collector.document import build_document


def only_finding(document: dict[str, Any]) -> dict[str, Any]:
    assert len(document["findings"]) == 1, document["findings"]
    return dict(document["findings"][0])


def test_the_document_is_json_and_names_its_schema() -> None:
    document = json.loads(json.dumps(build_document(records(finding()), facts())))

    assert document["schema"] == 1
    assert list(document) == [
        "schema",
        "run",
        "environments",
        "init",
        "invocations",
        "endings",
        "findings",
        "imports",
        "untouched",
        "packages",
        "memory",
        "losses",
        "overhead",
    ]


def test_the_last_revision_of_a_finding_wins() -> None:
    found = only_finding(build_document(records(finding(), resumed()), facts()))

    assert (found["outcome"], found["revision"], found["wall_ms"]) == ("resumed", 2, 22.0)


def test_a_revision_that_arrives_late_changes_nothing() -> None:
    found = only_finding(build_document(records(resumed(), finding()), facts()))

    assert found["outcome"] == "resumed"


def test_a_finding_points_at_its_call_site_and_at_the_invocations_of_the_run() -> None:
    found = only_finding(build_document(records(finding(), resumed()), facts()))

    assert found["where"] == {"file": "/var/task/app.py", "line": 4, "function": "handler"}
    assert (found["invocation"], found["resumed_invocation"]) == (1, 2)


def test_work_that_ended_in_an_earlier_revision_has_ended() -> None:
    later = resumed(revision=3, changes=[])

    assert only_finding(build_document(records(finding(), resumed(), later), facts()))["ended"] is True
    assert only_finding(build_document(records(finding()), facts()))["ended"] is False


def test_an_invocation_holds_what_was_measured_and_what_the_caller_saw() -> None:
    second = build_document(records(), facts())["invocations"][1]

    assert (
        second["invocation"],
        second["environment"],
        second["request_id"],
        second["duration_ms"],
    ) == (2, 1, "request-2", 30.0)
    assert tuple(second["caller"][k] for k in ("outcome", "took_ms", "frozen_before_ms")) == (
        "ok",
        31.0,
        502.0,
    )


def test_a_call_without_a_request_id_finds_its_invocation_by_time() -> None:
    calls = [CALLS[0], call(2, 756, request_id=None, outcome="crash", http_status=502)]

    invocations = build_document(records(), facts(calls=calls))["invocations"]

    assert [(i["request_id"], i["caller"]["outcome"] if i["caller"] else None) for i in invocations] == [
        ("request-1", "ok"),
        ("request-2", "crash"),
        ("request-3", None),
    ]


def test_without_the_layer_everything_but_the_callers_view_is_null() -> None:
    document = build_document([], facts(layer=None))

    assert document["init"] is None
    assert document["environments"] == []
    assert [i["duration_ms"] for i in document["invocations"]] == [None] * 3
    assert [i["caller"]["took_ms"] for i in document["invocations"]] == [252.0, 31.0, 31.0]
    assert set(document["overhead"].values()) == {None}


def test_a_second_environment_has_its_own_init_and_the_first_one_stays_the_runs() -> None:
    stream = [
        environment("env-1"),
        init(at=3),
        invocation(1, 220),
        finding(),
        Shutdown(START_MS + 300, "ReleaseFail", 1, 5.0),
        environment("env-2"),
        init(at=700),
        invocation(1, 757, request_id="request-2"),
        finding(request_id="request-2"),
    ]

    document = build_document(stream, facts())

    assert [e["environment"] for e in document["environments"]] == [1, 2]
    assert document["init"]["at_ms"] == START_MS + 3
    assert document["environments"][1]["init"]["at_ms"] == START_MS + 700
    assert [e["shutdown"] and e["shutdown"]["reason"] for e in document["environments"]] == [
        ("ReleaseFail"),
        None,
    ]
    assert [f["invocation"] for f in document["findings"]] == [1, 2], "same finding_id, other environment"


def test_losses_and_overhead_add_up() -> None:
    more = [
        Loss(START_MS, "fact", 10, 7, {"buffer-full": 2, "too-long": 1}),
        Loss(START_MS, "fact", 5, 4, {"buffer-full": 1}),
        Overhead(START_MS, 1.0, None, 0.1, 10),
    ]

    document = build_document([environment(), *more], facts())

    assert document["losses"]["fact"] == {
        "seen": 15,
        "emitted": 11,
        "dropped": {"buffer-full": 3, "too-long": 1},
    }
    assert document["overhead"] == {
        "agent_cpu_ms": 1.0,
        "agent_rss_bytes": None,
        "hook_ms": 0.1,
        "bytes_out": 10,
    }


def test_a_bad_ending_points_at_its_invocation_and_keeps_its_evidence() -> None:
    document = build_document([*records(), ending()], facts())

    found = document["endings"][0]
    assert (1, 2, "timeout", "platform") == tuple(found[k] for k in ("environment", "invocation", "status", "source"))
    assert found["stacks"][0] == ["/var/task/app.py:4 in wait", "/var/task/app.py:9 in handler"]
    assert found["memory_curve"][-1] == [-100.0, 40.0]


def test_an_init_that_failed_points_at_the_call_that_it_was_for() -> None:
    failed = ending(request_id=None, index=None, status="init-error", detail="ImportError")
    stream = [environment(), init(), environment("env-2", at=760), failed]

    document = build_document(stream, facts())

    assert [(2, 2)] == [(e["environment"], e["invocation"]) for e in document["endings"]]


def test_figures_of_the_platform_stand_beside_the_hooks() -> None:
    told = invocation(1, 220, billed_ms=31.0, response_latency_ms=4.5, max_memory_mb=64.0, error_origin=None)

    first = build_document([environment(), told], facts())["invocations"][0]

    assert (31.0, 4.5, 64.0) == (first["billed_ms"], first["response_latency_ms"], first["max_memory_mb"])
