"""The recorder: which invocations there were, when they are told, and once. Clocks are arguments."""

from typing import Any

from afterglow.freeze import FrozenTime, Window
from afterglow.platform import Said
from afterglow.recorder import MOST_INVOCATIONS, Boot, Clock, Recorder

MS = 1_000_000
BOOT = Boot(started_ns=1_000 * MS, cpu_ns=8 * MS, registered_ns=1_012 * MS)


def clock(mono_ms: float) -> Clock:
    return Clock(int(mono_ms * MS), 1_700_000_000_000 + mono_ms)


def returned(request_id: str, start_ms: float, end_ms: float, **changed: Any) -> dict[str, Any]:
    fact = {"id": request_id, "from": int(start_ms * MS), "at": int(end_ms * MS), "error": None, "user": 0.003}
    return {**fact, "system": 0.001, "own": 50_000, **changed}


def hooked(frozen: FrozenTime | None = None) -> Recorder:
    recorder = Recorder(BOOT, frozen or FrozenTime())
    recorder.hello = {"at": 1_100 * MS, "took": 1 * MS, "cpu": 30 * MS}
    recorder.init_fact = {"from": 1_110 * MS, "at": 1_160 * MS, "cpu": 40 * MS, "error": None}
    return recorder


def ids(told: list[Any]) -> list[str]:
    return [invocation.request_id for invocation, _ in told]


def test_a_monotonic_time_is_placed_on_the_calendar() -> None:
    assert 1_700_000_000_900 == clock(1_000).at_ms(900 * MS)


def test_an_invocation_that_returned_is_told_in_the_next_one_and_once() -> None:
    recorder = hooked()
    recorder.begin("r-1", 2_000 * MS, 10)
    recorder.returned(returned("r-1", 2_001, 2_051))
    recorder.begin("r-2", 3_000 * MS, 11)
    told = recorder.tell(clock(3_001), 11, before=2)
    ((invocation, ending),) = told

    assert ("r-1", 1, True, "ok", None) == (
        invocation.request_id,
        invocation.index,
        invocation.cold,
        invocation.status,
        ending,
    )
    assert (50, 3, 1, 46) == (
        invocation.duration_ms,
        invocation.cpu_user_ms,
        invocation.cpu_system_ms,
        invocation.wait_ms,
    )
    assert [] == recorder.tell(clock(3_002), 11, before=2)


def test_more_cpu_than_wall_time_is_no_negative_wait() -> None:
    recorder = hooked()
    recorder.begin("r-1", 2_000 * MS, 0)
    recorder.returned(returned("r-1", 2_000, 2_002))
    ((invocation, _),) = recorder.tell(clock(2_100), 0, before=2)

    assert 0 == invocation.wait_ms


def test_invoke_and_the_hooks_fact_mean_the_same_invocation_whichever_comes_first() -> None:
    recorder = hooked()
    first = recorder.begin("r-1", 2_000 * MS, 0)
    again = recorder.begin("r-1", 2_003 * MS, 0)

    assert first is again
    assert 1 == recorder.count
    assert 2_000 * MS == first.invoked_ns


def test_an_invocation_that_has_not_returned_is_held_back_until_the_end() -> None:
    recorder = hooked()
    recorder.begin("r-1", 2_000 * MS, 0)
    recorder.begin("r-2", 3_000 * MS, 0)

    assert [] == recorder.tell(clock(3_001), 0, before=2)
    assert ["r-1", "r-2"] == ids(recorder.tell(clock(3_002), 0, before=None))


def test_without_a_hook_an_invocation_is_over_when_the_next_begins() -> None:
    recorder = Recorder(BOOT, FrozenTime())
    recorder.begin("r-1", 2_000 * MS, 0)
    recorder.begin("r-2", 3_000 * MS, 0)
    ((invocation, _),) = recorder.tell(clock(3_001), 0, before=2)

    assert ("r-1", "unknown", None) == (invocation.request_id, invocation.status, invocation.duration_ms)


def test_once_the_hook_has_given_up_nothing_is_held_back() -> None:
    recorder = hooked()
    recorder.begin("r-1", 2_000 * MS, 0)
    recorder.hook_gave_up = True
    recorder.begin("r-2", 3_000 * MS, 0)
    ((invocation, ending),) = recorder.tell(clock(3_001), 0, before=2)

    assert ("r-1", "unknown", None) == (invocation.request_id, invocation.status, ending)


def test_of_too_many_that_never_return_all_are_told() -> None:
    recorder = hooked()
    for number in range(MOST_INVOCATIONS + 1):
        recorder.begin(f"r-{number}", (2_000 + number) * MS, 0)

    assert MOST_INVOCATIONS == len(recorder.tell(clock(9_000), 0, before=MOST_INVOCATIONS + 1))


def test_a_return_that_nobody_began_is_none() -> None:
    assert hooked().returned(returned("r-9", 1, 2)) is None


def test_an_invocation_knows_how_long_the_environment_lay_frozen_before_it() -> None:
    frozen = FrozenTime()
    recorder = hooked(frozen)
    recorder.begin("r-1", 2_000 * MS, 0)
    recorder.returned(returned("r-1", 2_001, 2_051))
    frozen.add(Window(2_060 * MS, 2_070 * MS, 9_000 * MS))
    recorder.begin("r-2", 9_010 * MS, 0)
    recorder.returned(returned("r-2", 9_011, 9_020))
    told = recorder.tell(clock(9_100), 0, before=3)

    assert [0, 6_940] == [invocation.frozen_before_ms for invocation, _ in told]


def test_init_is_told_once_with_its_phases_and_their_sources() -> None:
    recorder = hooked()
    recorder.process_started_ns = 1_070 * MS
    recorder.begin("r-1", 2_000 * MS, 0)
    init = recorder.init(clock(2_001))

    assert init is not None
    assert (20, 168) == (init.extension_ms, init.init_ms)
    assert (50, 40, 1) == (init.import_ms, init.import_cpu_ms, init.hook_ms)
    assert ("observed", "hook") == (init.sources["init_ms"], init.sources["import_ms"])
    assert recorder.init(clock(2_002)) is None


def test_the_runtimes_boot_is_narrowed_down_by_its_cpu_time() -> None:
    """The kernel cuts a process's start to 10 ms: between 20 and 30 ms here, and 29 ms of CPU say where."""
    recorder = hooked()
    recorder.process_started_ns = 1_070 * MS
    recorder.begin("r-1", 2_000 * MS, 0)
    init = recorder.init(clock(2_001))

    assert init is not None
    assert 29 == init.runtime_boot_ms


def test_init_without_a_hook_tells_what_we_know_of_ourselves() -> None:
    recorder = Recorder(BOOT, FrozenTime())
    before = recorder.init(clock(1_500))
    recorder.begin("r-1", 2_000 * MS, 0)
    init = recorder.init(clock(2_001))

    assert before is None
    assert init is not None
    assert (20, None, None, None) == (init.extension_ms, init.import_ms, init.hook_ms, init.runtime_boot_ms)
    assert {"extension_ms": "observed"} == init.sources


TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"


def test_an_invocation_whose_invoke_has_not_been_read_waits_for_its_trace() -> None:
    """The hook's facts can overtake INVOKE by the whole invocation, and by the next one."""
    recorder = hooked()
    for start_ms, request_id in ((2_000, "r-1"), (2_020, "r-2")):
        recorder.begin(request_id, start_ms * MS, 10, invited=False)
        recorder.returned(returned(request_id, start_ms, start_ms + 5))
    early = recorder.tell(clock(2_030), 10, before=3)
    recorder.invited("r-1", TRACE)
    ((first, _),) = recorder.tell(clock(2_031), 10, before=3)

    assert [] == early
    assert ("r-1", TRACE) == (first.request_id, first.trace)


def test_an_invoke_that_is_never_read_holds_no_record_back_for_long() -> None:
    recorder = hooked()
    recorder.begin("r-1", 2_000 * MS, 10, invited=False)
    recorder.returned(returned("r-1", 2_001, 2_051))

    assert [] == recorder.tell(clock(2_900), 10, before=2)
    assert ["r-1"] == ids(recorder.tell(clock(3_100), 10, before=2))


def test_an_invoke_that_comes_first_keeps_its_trace_for_the_hook() -> None:
    recorder = hooked()
    recorder.invited("r-1", TRACE)
    recorder.begin("r-1", 2_000 * MS, 10, invited=False)
    recorder.returned(returned("r-1", 2_001, 2_051))
    ((invocation, _),) = recorder.tell(clock(2_060), 10, before=2)

    assert TRACE == invocation.trace


def said(request_id: str, **fields: Any) -> Said:
    return Said(request_id, fields)


def test_what_the_platform_says_after_the_telling_is_told_once_in_a_record_of_its_own() -> None:
    recorder = hooked()
    recorder.begin("r-1", 2_000 * MS, 10)
    recorder.returned(returned("r-1", 2_001, 2_051))
    recorder.tell(clock(2_052), 10, before=2)
    taken = [
        recorder.said(said("r-1", runtime_done=True, duration_ms=52.5)),
        recorder.said(said("r-1", reported=True, billed_ms=53.0, max_memory_mb=40.0)),
    ]
    (report,) = recorder.reports(clock(3_000))
    again = recorder.said(said("r-1", reported=True, billed_ms=53.0))

    assert ([True, True], False) == (taken, again)
    assert ("r-1", 52.5, 53.0, 40.0) == (
        report.request_id,
        report.duration_ms,
        report.billed_ms,
        report.max_memory_mb,
    )
    assert [] == recorder.reports(clock(3_001), final=True)


def test_what_is_said_late_and_never_completed_is_told_at_the_end() -> None:
    recorder = hooked()
    recorder.begin("r-1", 2_000 * MS, 10)
    recorder.returned(returned("r-1", 2_001, 2_051))
    recorder.tell(clock(2_052), 10, before=2)
    recorder.said(said("r-1", runtime_done=True, duration_ms=52.5))

    assert [] == recorder.reports(clock(3_000))
    assert [52.5] == [report.duration_ms for report in recorder.reports(clock(3_001), final=True)]
