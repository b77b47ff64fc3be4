"""What becomes of lingering work: found once, then done, resumed or lost; time frozen is not time worked."""

from typing import Any

import pytest

from afterglow.callsite import CallSite
from afterglow.freeze import FrozenTime, Window
from afterglow.lingering import FINISHING_NS, KEPT_BEGINNINGS, KILLING_NS, Lingering
from afterglow.records import Finding

MS = 1_000_000
S = 1000 * MS
RUNTIME = 42


class Story:
    """One environment's work, told with few words. Times are milliseconds."""

    def __init__(self) -> None:
        self.frozen = FrozenTime()
        self.lingering = Lingering("env", self.frozen, self._choose)

    @staticmethod
    def _choose(frames: list[list[object]]) -> CallSite | None:
        file, line, function = frames[0]
        return CallSite(str(file), int(str(line)), str(function))

    def began(self, at: float, index: int, trace: str | None = None) -> "Story":
        self.lingering.began(f"r-{index}", index, int(at * MS), trace=trace)
        return self

    def found(self, at: float, work: int = 1, **fields: Any) -> "Story":
        fact = {"w": work, "what": "thread", "name": "send", "site": [["app.py", 7, "handler"]], "id": "r-1", "n": 1}
        fact |= {
            "state": "sleeping",
            "at": int(at * MS),
            "jobs": 1,
            "pid": None,
            "worker": None,
            "burned": None,
            **fields,
        }
        self.lingering.announce(RUNTIME, fact)
        return self

    def freeze(self, start: float, end: float, earliest: float | None = None) -> "Story":
        self.frozen.add(Window(int((start if earliest is None else earliest) * MS), int(start * MS), int(end * MS)))
        return self

    def moved(self, work: int = 1, cpu_ms: float | None = None, *, moved: bool = True) -> "Story":
        self.lingering.update(RUNTIME, work, None if cpu_ms is None else int(cpu_ms * MS), moved)
        return self

    def ended(self, at: float, work: int = 1, cpu_ms: float | None = None) -> "Story":
        self.lingering.end(RUNTIME, work, int(at * MS), None if cpu_ms is None else int(cpu_ms * MS))
        return self

    def told(self, at: float) -> list[Finding]:
        return self.lingering.settle(int(at * MS), 1_700_000_000_000)

    def only(self, at: float) -> Finding:
        (finding,) = self.told(at)
        return finding


@pytest.mark.parametrize("first", [None, "Root=1-5759e988;Sampled=1"], ids=["the hook", "INVOKE"])
def test_a_finding_knows_the_trace_of_who_started_it_and_when_that_returned(first: str | None) -> None:
    """Whichever of the two says first that the invocation began."""
    story = Story().began(0, 1, first).began(1, 1, "Root=1-5759e988;Sampled=1").found(100)
    finding = story.freeze(110, 5110).began(5120, 2, "Root=another").ended(5210).only(5300)

    assert "Root=1-5759e988;Sampled=1" == finding.trace
    assert finding.at_ms - 5200 == finding.returned_at_ms


def test_work_that_ends_before_the_freeze_is_done() -> None:
    finding = Story().began(0, 1).found(100).ended(400, cpu_ms=12.5).only(500)

    assert ("done", ["lingering", "ended"]) == (finding.outcome, finding.changes)
    assert (300, 12.5, 0) == (finding.wall_ms, finding.cpu_ms, finding.frozen_ms)
    assert (None, None, None) == (finding.reason, finding.resumed_in, finding.resumed_index)


def test_a_finding_names_the_work_and_who_started_it() -> None:
    finding = Story().began(0, 1).found(100, what="executor", jobs=3, state="3 queued").ended(400).only(500)

    assert ("lingering", "executor", "send", 3, "3 queued") == (
        finding.kind,
        finding.what,
        finding.name,
        finding.jobs,
        finding.state,
    )
    assert ("app.py", 7, "handler") == (finding.file, finding.line, finding.function)
    assert ("r-1", 1, "env-1", 1) == (
        finding.request_id,
        finding.request_index,
        finding.finding_id,
        finding.revision,
    )


def test_work_that_is_open_is_not_told_yet() -> None:
    assert [] == Story().began(0, 1).found(100).told(500)


def test_work_that_ends_after_a_freeze_is_resumed_and_its_wall_time_excludes_the_freeze() -> None:
    finding = Story().began(0, 1).found(100).freeze(110, 5110).began(5120, 2).ended(5210).only(5300)

    assert ("resumed", "r-2", 2) == (finding.outcome, finding.resumed_in, finding.resumed_index)
    assert ["lingering", "resumed", "ended"] == finding.changes
    assert (5000, 110) == (finding.frozen_ms, finding.wall_ms)


def test_work_that_ends_just_before_the_freeze_is_done_though_the_window_may_have_begun() -> None:
    finding = Story().began(0, 1).found(100).ended(140).freeze(150, 5150, earliest=110).began(5160, 2).only(5300)

    assert "done" == finding.outcome


def test_work_that_goes_on_into_the_next_invocation_without_a_freeze_is_resumed() -> None:
    finding = Story().began(0, 1).found(100).began(200, 2).ended(300).only(400)

    assert ("resumed", "r-2") == (finding.outcome, finding.resumed_in)


def test_work_that_moves_in_a_later_invocation_is_resumed_before_it_ends() -> None:
    story = Story().began(0, 1).found(100).freeze(110, 5110).began(5120, 2).moved(cpu_ms=3)
    first = story.only(5300)
    last = story.ended(6000, cpu_ms=9).only(6100)

    assert ("resumed", ["lingering", "resumed"], 1) == (first.outcome, first.changes, first.revision)
    assert ("resumed", ["ended"], 2) == (last.outcome, last.changes, last.revision)
    assert (3, 9) == (first.cpu_ms, last.cpu_ms)
    assert first.finding_id == last.finding_id


def test_work_that_merely_exists_in_a_later_invocation_is_not_resumed() -> None:
    """A task in a loop that has stopped cannot move."""
    story = Story().began(0, 1).found(100).freeze(110, 5110).began(5120, 2).moved(moved=False)

    assert [] == story.told(5300)


def test_nothing_is_told_twice() -> None:
    story = Story().began(0, 1).found(100).began(200, 2).moved()
    story.told(250)

    assert [] == story.told(260)


def test_work_that_goes_on_in_the_third_invocation_names_the_second() -> None:
    story = Story().began(0, 1).found(100).began(200, 2).began(300, 3).moved()

    assert "r-2" == story.only(400).resumed_in


def test_what_is_open_at_the_end_is_lost_for_the_reason_given() -> None:
    story = Story().began(0, 1).found(100)
    story.lingering.close("timeout", 900 * MS)
    finding = story.only(900)

    assert ("lost", "timeout", ["lingering", "lost"]) == (finding.outcome, finding.reason, finding.changes)
    assert 800 == finding.wall_ms


def test_what_was_resumed_and_then_lost_adds_only_the_loss() -> None:
    story = Story().began(0, 1).found(100).began(200, 2).moved()
    story.told(250)
    story.lingering.close("shutdown", 900 * MS)
    finding = story.only(900)

    assert ("lost", ["lost"], "r-2") == (finding.outcome, finding.changes, finding.resumed_in)


def test_what_ended_before_the_end_is_not_lost() -> None:
    story = Story().began(0, 1).found(100).ended(400)
    story.lingering.close("shutdown", 900 * MS)

    assert "done" == story.only(900).outcome


def test_work_that_the_thaw_of_shutdown_lets_end_went_on_in_nobodys_invocation() -> None:
    finding = Story().began(0, 1).found(100).freeze(110, 5110).ended(5115).only(5120)

    assert ("resumed", None, None) == (finding.outcome, finding.resumed_in, finding.resumed_index)


@pytest.mark.parametrize(
    ("took_ns", "cpu_ms", "told"),
    [(FINISHING_NS - 1, 0.5, 0), (FINISHING_NS, 0.5, 1), (FINISHING_NS - 1, 1.5, 1), (FINISHING_NS - 1, None, 0)],
    ids=["on its way out", "took its time", "took CPU", "CPU unknown"],
)
def test_work_on_its_way_out_is_dismissed(took_ns: int, cpu_ms: float | None, told: int) -> None:
    story = Story().began(0, 1).found(100).ended(100 + took_ns / MS, cpu_ms=cpu_ms)

    assert told == len(story.told(200))
    assert 0 == story.lingering.open_count()


def test_a_task_that_asyncio_run_cancelled_is_found_ended_and_lost_in_one() -> None:
    story = Story().began(0, 1)
    work = {"name": "notify", "site": [["app.py", 9, "main"]], "id": "r-1", "n": 1, "state": "sleeping", "at": 50 * MS}
    story.lingering.cancelled(RUNTIME, work)
    story.began(60, 2)
    finding = story.only(70)

    assert ("asyncio-task", "lost", "cancelled by asyncio.run") == (finding.what, finding.outcome, finding.reason)
    assert ["lingering", "lost", "ended"] == finding.changes


def test_two_cancelled_tasks_are_two_findings() -> None:
    story = Story().began(0, 1)
    for name in ("one", "two"):
        work = {"name": name, "site": [["app.py", 9, "main"]], "id": "r-1", "n": 1, "state": "sleeping", "at": 50 * MS}
        story.lingering.cancelled(RUNTIME, work)

    assert ["one", "two"] == [finding.name for finding in story.told(70)]


def test_work_of_two_processes_does_not_mix() -> None:
    story = Story().began(0, 1).found(100)
    story.lingering.end(RUNTIME + 1, 1, 200 * MS, None)

    assert 1 == story.lingering.open_count()


def test_news_of_unknown_work_is_ignored() -> None:
    story = Story().began(0, 1).ended(10, work=99).moved(work=99)

    assert [] == story.told(20)


def test_a_second_end_changes_nothing() -> None:
    assert 100 == Story().began(0, 1).found(100).ended(200).ended(900).only(1000).wall_ms


def test_a_process_that_vanished_has_ended_once_the_environment_is_seen_alive() -> None:
    story = Story().began(0, 1).found(100, what="process", pid=77)
    story.lingering.vanish(RUNTIME, 1, 300 * MS)
    before = story.told(310)
    story.lingering.live_on()

    after = story.only(400)

    assert [] == before
    assert ("done", 200) == (after.outcome, after.wall_ms)


def test_a_process_that_vanished_just_before_the_end_was_killed_with_the_rest() -> None:
    story = Story().began(0, 1).found(100, what="process", pid=77)
    story.lingering.vanish(RUNTIME, 1, 300 * MS)
    story.lingering.close("shutdown", 400 * MS)

    assert "lost" == story.only(400).outcome


def test_a_process_that_vanished_long_before_the_end_had_ended_by_itself() -> None:
    story = Story().began(0, 1).found(100, what="process", pid=77)
    story.lingering.vanish(RUNTIME, 1, 300 * MS)
    story.lingering.close("shutdown", 301 * MS + KILLING_NS)

    assert "done" == story.only(3000).outcome


def test_the_pids_to_watch_are_those_of_open_processes() -> None:
    story = Story().found(1, 1, pid=77).found(1, 2, pid=78).found(1, 3).ended(2, work=2)

    assert [((RUNTIME, 1), 77)] == story.lingering.open_pids()


def test_only_so_many_beginnings_are_kept() -> None:
    story = Story()
    for index in range(1, KEPT_BEGINNINGS * 2):
        story.began(index, index).began(index + 0.5, index)

    assert KEPT_BEGINNINGS == len(story.lingering.beginnings)
    assert KEPT_BEGINNINGS * 2 - 1 == list(story.lingering.beginnings.values())[-1].index


def test_a_zombie_seen_before_a_freeze_had_ended_by_itself() -> None:
    story = Story().began(0, 1).found(100, what="process", pid=77)
    story.lingering.vanish(RUNTIME, 1, 300 * MS)
    story.freeze(400, 900)
    story.lingering.close("shutdown", 950 * MS)

    assert ("done", 200) == ((finding := story.only(950)).outcome, finding.wall_ms)


def test_an_end_that_the_hook_tells_late_was_when_the_process_vanished() -> None:
    story = Story().began(0, 1).found(100, what="process", pid=77)
    story.lingering.vanish(RUNTIME, 1, 300 * MS)
    story.freeze(400, 900)

    assert ("done", 200) == ((finding := story.began(901, 2).ended(905).only(950)).outcome, finding.wall_ms)


def test_a_child_s_cpu_counts_from_the_return() -> None:
    story = Story().began(0, 1).found(100, what="process", pid=77, burned=500 * MS)
    story.lingering.burned(RUNTIME, 1, 520 * MS)

    assert 20 == story.ended(300).only(400).cpu_ms


def test_work_that_ended_between_two_looks_outlived_the_freeze_that_lay_there() -> None:
    story = Story().began(0, 1).found(100).freeze(110, 900).began(901, 2)
    story.lingering.end(RUNTIME, 1, 905 * MS, 9 * MS, 100 * MS)

    assert ("resumed", "r-2") == ((finding := story.only(950)).outcome, finding.resumed_in)


def test_without_a_freeze_it_was_over_when_it_was_last_seen() -> None:
    story = Story().began(0, 1).found(100).began(140, 2)
    story.lingering.end(RUNTIME, 1, 150 * MS, 9 * MS, 110 * MS)

    assert ("done", 10) == ((finding := story.only(200)).outcome, finding.wall_ms)


def test_a_freeze_that_began_before_we_know_is_still_one() -> None:
    """A starved extension asks late for the time: the window then seems to have begun before the work was found."""
    story = Story().began(0, 1).found(100).freeze(95, 1100, earliest=90).began(1101, 2).ended(1102, cpu_ms=5)

    assert "resumed" == story.only(1200).outcome
