"""What each kind of record contributes to the metrics."""

import pytest

from afterglow.measures import MEASURES, measurements
from afterglow.records import (
    Environment,
    Finding,
    Footprint,
    Init,
    Invocation,
    Loss,
    Overhead,
    Record,
    Sample,
    Shutdown,
)

AT_MS = 1_763_700_000_000
MB = 1 << 20
ENVIRONMENT = Environment("e", "f", "7", 512, "arm64", "on-demand", "python3.11", "eu-west-1", "0.1.0", AT_MS)
INVOCATION = Invocation(
    request_id="r",
    index=1,
    at_ms=AT_MS,
    cold=True,
    status="ok",
    error_type=None,
    error_origin=None,
    error_message=None,
    duration_ms=20.5,
    cpu_user_ms=3.0,
    cpu_system_ms=1.5,
    wait_ms=16.0,
    rss_bytes=100 * MB,
    peak_rss_bytes=128 * MB,
    threads=3,
    fds=9,
    children=0,
    tmp_bytes=2 * MB,
    frozen_before_ms=7.0,
    response_latency_ms=None,
    response_duration_ms=None,
    runtime_overhead_ms=None,
    produced_bytes=None,
    billed_ms=None,
    max_memory_mb=None,
    trace=None,
    hook_ms=0.1,
    agent_cpu_ms=0.2,
    sources={},
)
FINDING = Finding(
    finding_id="f",
    revision=1,
    kind="lingering",
    what="thread",
    name="worker",
    file=None,
    line=None,
    function=None,
    request_id="r",
    request_index=1,
    state="time.sleep",
    outcome="open",
    reason=None,
    resumed_in=None,
    resumed_index=None,
    frozen_ms=None,
    cpu_ms=4.0,
    wall_ms=250.0,
    jobs=40,
    at_ms=AT_MS,
    changes=["lingering"],
    returned_at_ms=AT_MS,
    trace=None,
    worker=None,
)


def measured(record: Record, environment: Environment = ENVIRONMENT) -> dict[str, float]:
    pairs = measurements(environment, record)
    assert len(dict(pairs)) == len(pairs), "a record counts once for each metric"
    return dict(pairs)


def test_an_invocation_brings_its_figures_and_the_zeros_that_alarms_and_rates_need() -> None:
    assert measured(INVOCATION) == {
        "Invocations": 1,
        "ColdStarts": 1,
        "Errors": 0,
        "LingeringCount": 0,
        "DurationMs": 20.5,
        "CpuMs": 4.5,
        "WaitMs": 16.0,
        "MemoryUsedMB": 128,
        "MemoryUtilization": 25,
        "FrozenMs": 7.0,
        "OpenFiles": 9,
        "Threads": 3,
        "TmpUsedMB": 2,
    }


def test_what_an_invocation_does_not_know_is_left_out_and_never_zero() -> None:
    unknown = INVOCATION._replace(
        duration_ms=None,
        cpu_system_ms=None,
        wait_ms=None,
        rss_bytes=None,
        peak_rss_bytes=None,
        threads=None,
        fds=None,
        tmp_bytes=None,
        frozen_before_ms=None,
    )

    assert measured(unknown) == {"Invocations": 1, "ColdStarts": 1, "Errors": 0, "LingeringCount": 0}


@pytest.mark.parametrize(("status", "errors"), [("ok", 0), ("error", 1), ("unfinished", 1)])
def test_an_invocation_without_an_answer_is_an_error_like_one_that_raised(status: str, errors: int) -> None:
    assert measured(INVOCATION._replace(status=status))["Errors"] == errors


def test_without_a_hook_nobody_knows_of_errors_and_lingering_work() -> None:
    assert not {"Errors", "LingeringCount"} & measured(INVOCATION._replace(status="unknown", hook_ms=None)).keys()


def test_where_nobody_looked_after_the_return_there_is_no_word_on_lingering_work() -> None:
    """A timeout that a REPORT line tells of, and one under the hook: the handler never returned."""
    timed_out = measured(INVOCATION._replace(status="timeout", hook_ms=None))

    assert timed_out["Errors"] == 1
    assert "LingeringCount" not in timed_out


def test_memory_at_the_return_stands_in_for_an_unknown_peak() -> None:
    assert measured(INVOCATION._replace(peak_rss_bytes=None))["MemoryUsedMB"] == 100


@pytest.mark.parametrize("memory_mb", [None, 0])
def test_there_is_no_utilization_of_an_unknown_memory_size(memory_mb: int | None) -> None:
    assert "MemoryUtilization" not in measured(INVOCATION, ENVIRONMENT._replace(memory_mb=memory_mb))


@pytest.mark.parametrize(
    "changes", [[], ["lingering"], ["resumed"], ["lost"], ["ended"], ["lingering", "resumed", "ended"]]
)
def test_a_finding_counts_by_what_its_line_changes(changes: list[str]) -> None:
    counts = {name: value for name, value in measured(FINDING._replace(changes=changes)).items() if "Count" in name}

    assert counts == {
        "LingeringCount": "lingering" in changes,
        "ResumedCount": "resumed" in changes,
        "LostCount": "lost" in changes,
    }


@pytest.mark.parametrize(
    ("changes", "over"),
    [(["lingering"], False), (["resumed"], False), (["ended"], True), (["lost"], True), (["lost", "ended"], True)],
)
def test_lingering_work_is_timed_once_it_is_over(changes: list[str], over: bool) -> None:
    times = {name: value for name, value in measured(FINDING._replace(changes=changes)).items() if "Ms" in name}

    assert times == ({"LingeringMs": 250.0, "LingeringCpuMs": 4.0} if over else {})


def test_an_executors_jobs_from_one_call_site_are_one_piece_of_lingering_work() -> None:
    assert measured(FINDING._replace(jobs=5_000))["LingeringCount"] == 1


def test_overhead_is_the_hooks_time_plus_the_agents_cpu() -> None:
    overhead = Overhead(AT_MS, agent_cpu_ms=2.0, agent_rss_bytes=14 * MB, hook_ms=0.25, bytes_out=900)

    assert measured(overhead) == {"AfterglowOverheadMs": 2.25, "BytesOut": 900}


def test_a_ledger_brings_the_sum_of_its_losses_and_zero_when_there_are_none() -> None:
    ledger = Loss(AT_MS, of="facts", seen=10, emitted=4, dropped={"buffer-full": 5, "too-long": 1})

    assert measured(ledger) == {"DroppedRecords": 6}
    assert measured(ledger._replace(dropped={})) == {"DroppedRecords": 0}


def test_init_brings_the_cold_start_and_the_import() -> None:
    init = Init(AT_MS, 212.0, 8.0, 96.0, 0.4, 74.0, 70.0, None, None, None, {})

    assert measured(init) == {"InitMs": 212.0, "ImportMs": 74.0}


def test_a_footprint_brings_the_agents_share() -> None:
    assert measured(Footprint(AT_MS, 60 * MB, 12 * MB, None, 3)) == {"AgentMemoryMB": 12}


@pytest.mark.parametrize(
    "record",
    [ENVIRONMENT, Shutdown(AT_MS, "spindown", 0, 1.0), Sample(AT_MS, None, 1, 1.0, 1, 1.0, 1, 0)],
    ids=lambda record: type(record).__name__,
)
def test_other_kinds_carry_no_metric(record: Record) -> None:
    assert measured(record) == {}


def test_every_measure_answers_for_each_of_its_names() -> None:
    """``measurements`` zips strictly, the aggregate does not: this is what makes that right."""
    footprint = Footprint(AT_MS, 1, 1, 1, 1)
    overhead = Overhead(AT_MS, 1.0, 1, 1.0, 1)
    init = Init(AT_MS, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, None, None, None, {})
    ledger = Loss(AT_MS, "facts", 1, 1, {})
    for record in (init, INVOCATION, FINDING._replace(changes=["ended"]), footprint, overhead, ledger):
        assert list(MEASURES[type(record)].names) == [name for name, _ in measurements(ENVIRONMENT, record)]
