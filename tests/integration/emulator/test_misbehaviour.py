"""Each fault that can be asked for reaches a real listener, and nothing else changes."""

from collections.abc import Callable

import pytest
from tests.integration.emulator.conftest import HANDLER, StartLambda
from tests.integration.emulator.listener import all_said, listens, types_got, wait_said

from afterglow_layer.emulator import Lambda, Misbehaviour

GOOD = "register(); loop()"


Run = Callable[..., Lambda]


@pytest.fixture
def run(start_lambda: StartLambda) -> Run:
    """Give `run(**faults)`: two invocations and a shutdown under these faults; the events go as they come."""

    def go(**faults: object) -> Lambda:
        function = start_lambda(HANDLER, {"ears": listens()}, Misbehaviour(**faults))  # type: ignore[arg-type]
        for n in range(2):
            assert (200, b'{"n": %d}' % n) == (answer := function.invoke({"n": n}))[:2], answer
        function.shutdown()
        return function

    return go


def _sequence_ids(function: Lambda) -> list[str]:
    return [batch["id"] for batch in all_said(function, "batch")]


def test_without_faults_each_event_comes_once_and_in_order(run: Run) -> None:
    function = run()

    assert 2 == types_got(function).count("platform.report")
    assert len(set(_sequence_ids(function))) == len(_sequence_ids(function))


def test_duplicate_batches_come_twice_with_one_sequence_id(run: Run) -> None:
    ids = _sequence_ids(run(duplicate_batches=True))

    assert ids[::2] == ids[1::2]
    assert ids


def test_split_batches_hold_one_event_each(run: Run) -> None:
    function = run(split_batches=True)

    assert {1} == {len(batch["types"]) for batch in all_said(function, "batch")}
    assert 2 == types_got(function).count("platform.report")


def test_reordered_batches_lose_nothing(run: Run) -> None:
    function = run(reorder_batches=True, split_batches=True)
    types = types_got(function)

    assert 2 == types.count("platform.report")
    assert types.index("platform.telemetrySubscription") < types.index("platform.initStart")


def test_oversized_batches_are_as_large_as_asked(run: Run) -> None:
    batches = all_said(run(oversize_bytes=2_000_000), "batch")

    assert min(batch["bytes"] for batch in batches) > 2_000_000


def test_malformed_batches_are_no_json(run: Run) -> None:
    function = run(malformed_batches=True)

    assert all_said(function, "malformed")
    assert [] == types_got(function)


def test_cut_batches_end_in_a_reset(run: Run) -> None:
    function = run(cut_batches=True)
    outcomes = {seen.detail["outcome"] for seen in function.events if seen.kind == "telemetry.batch"}

    assert {"cut"} == outcomes
    assert [] == types_got(function)


def test_dribbled_batches_arrive_whole(run: Run) -> None:
    assert 2 == types_got(run(dribble_ms=10)).count("platform.report")


def test_slow_batches_come_late(start_lambda: StartLambda) -> None:
    function = start_lambda(extensions={"ears": listens()}, misbehave=Misbehaviour(slow_batches_ms=500), freeze=False)
    function.invoke()
    emitted = function.wait_for(lambda seen: seen.detail.get("type") == "platform.report")
    got = wait_said(function, "telemetry", lambda each: each["type"] == "platform.report")

    assert got["at_mono_s"] - emitted.at_mono_ns / 1e9 > 0.5


def test_late_batches_come_after_the_next_thaw(start_lambda: StartLambda) -> None:
    function = start_lambda(
        "import time\ndef handler(event, context):\n    time.sleep(0.2)\n",
        {"ears": listens()},
        Misbehaviour(late_batches=True),
    )
    function.invoke()
    function.settle()

    assert [] == types_got(function)

    function.invoke()

    assert "platform.initStart" == wait_said(function, "telemetry")["type"]


@pytest.mark.parametrize(("fault", "expected"), [("errors_500", "500"), ("resets", "ConnectionResetError")])
def test_a_call_can_fail_so_many_times(start_lambda: StartLambda, fault: str, expected: str) -> None:
    source = """
    for attempt in range(3):
        try:
            outcome = str(register()[0])
        except OSError as error:
            outcome = type(error).__name__
        say(said="attempt", outcome=outcome)
        if outcome == "200":
            break
    loop()
    """
    misbehave = Misbehaviour(**{fault: {"register": 2}})  # type: ignore[arg-type]
    function = start_lambda(extensions={"tries": source}, misbehave=misbehave)
    function.invoke()

    assert [expected, expected, "200"] == [each["outcome"] for each in all_said(function, "attempt")]


def test_an_extension_that_gives_up_on_500_breaks_the_environment(start_lambda: StartLambda) -> None:
    source = "register()\nif call('GET', f'{EXTENSION}/event/next', headers=me())[0] == 500: sys.exit(1)\nloop()"
    function = start_lambda(extensions={"strict": source}, misbehave=Misbehaviour(errors_500={"extension-next": 1}))
    answer = function.invoke()

    assert (200, b"{}") == (answer.status, answer.body)  # The second start, inside the invocation, went well.
    assert ["error", "success"] == [seen.detail["status"] for seen in function.events if seen.kind == "init.done"]
