"""An environment that is shut down while its handler runs: the invocation is told as aborted, the rest is in order."""

from pathlib import Path

import pytest
from tests.integration.platform.stages import Scene, started
from tests.integration.platform.told import assert_adds_up, assert_each_once, read_told

from afterglow_layer.emulator.phase_shutdown import shut_down
from afterglow_layer.emulator.settings import ShutdownReason

pytestmark = pytest.mark.usefixtures("namespaces")

SCENE = Scene(settings={"timeout_ms": 20_000})


@pytest.mark.parametrize("flush", ["next", "end", "interval"])
@pytest.mark.parametrize("before", [0, 2])
def test_a_shutdown_amid_an_invocation(flush: str, before: int, tmp_path: Path) -> None:
    records = tmp_path / "records.ndjson"
    with started(SCENE._replace(env={"AFTERGLOW_FLUSH": flush}), records) as function:
        for _ in range(before):
            function.invoke({"do": "returns"})
            function.settle()
        running = function.begin({"do": "says_so_and_sleeps"})
        function.wait_for(lambda seen: seen.kind == "output" and seen.detail["line"] == "sleeping")
        shut_down(function._sandbox, ShutdownReason.SPINDOWN)
        running.wait(10)
    (told,) = read_told(records)
    (ending,) = told.endings

    assert [*["ok"] * before, "aborted"] == told.statuses, str(told)
    assert (running.request_id, "aborted", "observed") == (ending.request_id, ending.status, ending.source), str(told)
    assert_each_once(told)
    assert_adds_up(told)
