"""Every way to fail that is known of RIE, by name, and every fault of the surroundings: no answer shows our presence.

Each row is played four times: on RIE and on the built-in emulator, with Afterglow's layer and without. The answers are
the same to the byte, and the ledger adds up. Rows of FAILURES are what was observed of RIE; a row that says more than
"the same" about the answer says what it is, so that two wrongs cannot agree.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.integration.platform import spoilers
from tests.integration.platform.stages import Scene, Story, play_both, started
from tests.integration.platform.told import assert_adds_up, assert_each_once, read_told

from afterglow.records import Sample

pytestmark = pytest.mark.usefixtures("namespaces")

PLATFORMS = ("builtin", "rie")
OUTSIDE_TMP = Path("/var/tmp")
LARGEST_BYTES = 6 * 1024 * 1024 - 100
ROOMY = {"timeout_ms": 20_000}
SHORT = {"init_timeout_ms": 500}
"""The built-in emulator tries an Init that fails again inside the invocation, as Lambda does."""


class Said(NamedTuple):
    """What comes of a row: the answers, as HTTP status and a part of the body, and what we say of each invocation."""

    answers: Sequence[tuple[int, bytes]]
    statuses: Sequence[str]


class Row(NamedTuple):
    """A way to fail. ``on_lambda``: what the built-in emulator makes of it, where Lambda is known to do otherwise."""

    name: str
    events: Sequence[Mapping[str, Any]]
    on_rie: Said
    on_lambda: Said | None = None
    beside: Mapping[str, str] = {}
    settings: Mapping[str, Any] = {}

    def said(self, platform: str) -> Said:
        return self.on_rie if platform == "rie" or self.on_lambda is None else self.on_lambda


RETURNS, FINE = {"do": "returns"}, (200, b'"fine"')
TIMED_OUT = (200, b"Task timed out after")
EMPTY = (502, b"")

UNKNOWN_ON_RIE = Said([EMPTY], [])
"""Its invocation is known to the Telemetry API alone, which RIE has not."""
INIT_FAILED = Said([EMPTY], ["init-error"])

FAILURES = (
    Row(
        "handler raises: HTTP 200 and error JSON; nothing restarts",
        [{"do": "raises"}, RETURNS],
        Said([(200, b'"errorType": "KeyError"'), FINE], ["error", "ok"]),
    ),
    Row(
        "os._exit(3) in the handler: 502 Runtime.ExitError; everything re-inits on the next invoke",
        [RETURNS, {"do": "exits"}, RETURNS],
        Said([FINE, (502, b"Runtime.ExitError"), FINE], ["ok", "crash", "ok"]),
    ),
    Row(
        "function timeout: 200 Task timed out; re-init",
        [{"do": "times_out"}, RETURNS],
        Said([TIMED_OUT, FINE], ["timeout", "ok"]),
    ),
    Row(
        "extension never registers: every invoke times out; the runtime never starts",
        [RETURNS, RETURNS],
        Said([TIMED_OUT, TIMED_OUT], []),
        Said([TIMED_OUT, TIMED_OUT], ["timeout", "timeout"]),
        beside={"mute": "time.sleep(60)"},
        settings=SHORT,
    ),
    Row(
        "extension exits (0) after register: 502, empty body",
        [RETURNS],
        UNKNOWN_ON_RIE,
        INIT_FAILED,
        beside={"leaves": "register(); sys.exit(0)"},
    ),
    Row(
        "extension exits (1) after register: 502, empty body",
        [RETURNS],
        UNKNOWN_ON_RIE,
        INIT_FAILED,
        beside={"leaves": "register(); sys.exit(1)"},
    ),
    Row(
        "extension calls init/error: 502, empty body",
        [RETURNS],
        UNKNOWN_ON_RIE,
        INIT_FAILED,
        beside={
            "fails": """
            register()
            headers = me(**{"Lambda-Extension-Function-Error-Type": "Extension.Unfit"})
            call("POST", f"{EXTENSION}/init/error", headers=headers)
            sys.exit(1)
            """
        },
    ),
    Row(
        "extension dies mid-invoke: 502 with the function's real body; restart",
        [RETURNS, RETURNS],
        Said([(502, b'"fine"'), (502, b'"fine"')], ["ok", "ok"]),
        Said([FINE, FINE], ["error", "error"]),  # Lambda has answered by then, and reports Extension.Crash
        beside={"dies": "register(); next_event(); time.sleep(0.6); os._exit(1)"},
    ),
    Row(
        "extension slow in INVOKE: the response is delayed by as much under RIE",
        [RETURNS, RETURNS],
        Said([FINE, FINE], ["ok", "ok"]),
        beside={"slow": "register()\nwhile next_event()['eventType'] == 'INVOKE':\n    time.sleep(0.4)"},
    ),
    Row(
        "extension slower than the timeout: Task timed out; the late /next gets SHUTDOWN",
        [RETURNS, RETURNS],
        Said([TIMED_OUT, TIMED_OUT], ["ok", "ok"]),
        Said([FINE, FINE], ["timeout", "timeout"]),  # the same: answered, then reported as timed out
        beside={"slower": "register()\nwhile next_event()['eventType'] == 'INVOKE':\n    time.sleep(2.5)"},
    ),
)


def check(wanted: Said, story: Story, without: Story) -> None:
    """Compare with the run without us, with the table, and with the ledger."""
    assert without.heard == story.heard, f"the layer changed an answer\n{story}"
    for (status, part), heard in zip(wanted.answers, story.heard, strict=True):
        assert status == heard.status, str(story)
        assert part in heard.body, str(story)
        assert part or not heard.body, str(story)
    for told in story.told:
        assert_each_once(told)
        assert_adds_up(told)
    assert [*wanted.statuses] == [status for told in story.told for status in told.statuses], str(story)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("row", FAILURES, ids=[row.name for row in FAILURES])
def test_failure(row: Row, platform: str) -> None:
    scene = Scene(platform=platform, beside=row.beside, settings=row.settings)

    check(row.said(platform), *play_both(scene, row.events))


def test_a_second_concurrent_invoke(tmp_path: Path) -> None:
    """RIE panics, with us or without; Lambda starts another environment; the built-in emulator lets it wait."""
    records = tmp_path / "records.ndjson"
    with started(Scene(settings=ROOMY), records) as function:
        both = [function.begin({"do": "sleeps", "ms": 200}) for _ in range(2)]
        answers = [each.wait(15) for each in both]
        function.settle()
    (told,) = read_told(records)

    assert [(200, b'"slept"')] * 2 == [(answer.status, answer.body) for answer in answers]
    assert ["ok", "ok"] == told.statuses, str(told)
    assert_adds_up(told)


class Fault(NamedTuple):
    """Surroundings in which something is missing, full, long or wrong; and the proof that they were."""

    name: str
    shows: Callable[[Story], bool]
    prefix: Sequence[str] = ()
    events: Sequence[Mapping[str, Any]] = (RETURNS, {"do": "raises"}, RETURNS)
    clock_jumps: bool = False


def spread_ms(story: Story) -> float:
    """Return how far apart the times of day are that the records name."""
    times = [each.at_ms for told in story.told for each in told.of(Sample)]
    return max(times) - min(times)


WRITES = {"do": "writes_to_tmp"}
FAULTS = (
    Fault(
        "/tmp read-only",
        lambda story: story.heard[1].body == b'"Read-only file system"',
        spoilers.TMP_READ_ONLY,
        [RETURNS, WRITES, RETURNS],
    ),
    Fault(
        "/tmp full",
        lambda story: story.heard[1].body == b'"No space left on device"',
        spoilers.TMP_FULL,
        [RETURNS, WRITES, RETURNS],
    ),
    Fault("no Unix sockets", lambda story: story.told[0].environment.runtime is None, spoilers.NO_UNIX_SOCKETS),
    Fault(
        "unreadable /proc",
        lambda story: {None} == {each.rss_bytes for each in story.told[0].invocations},
        spoilers.NO_PROC,
    ),
    Fault("clock jumps", lambda story: spread_ms(story) > 3_000_000, clock_jumps=True),
    Fault(
        "6 MB event",
        lambda story: str(LARGEST_BYTES - 100).encode() == story.heard[0].body,
        events=[{"do": "measures", "text": "x" * (LARGEST_BYTES - 100)}] * 2,
    ),
    Fault(
        "6 MB response",
        lambda story: LARGEST_BYTES + 2 == len(story.heard[0].body),
        events=[{"do": "answers", "bytes": LARGEST_BYTES}] * 2,
    ),
)
"""Not here: pids that are used again (test_clocks_and_proc); 10,000 invocations (test_hard_surroundings)."""


@pytest.mark.parametrize("flush", ["next", "end"])
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_fault(fault: Fault, platform: str, flush: str, tmp_path: Path) -> None:
    env = {"AFTERGLOW_FLUSH": flush, **(spoilers.jumping_clock(tmp_path) if fault.clock_jumps else {})}
    scene = Scene(platform=platform, env=env, settings=ROOMY, prefix=fault.prefix, records=OUTSIDE_TMP)
    story, without = play_both(scene, fault.events)

    assert without.heard == story.heard, f"the layer changed an answer\n{story}"
    assert {200} == {heard.status for heard in story.heard}, str(story)
    assert fault.shows(story), f"the surroundings were as ever\n{story}"
    (told,) = story.told
    assert_each_once(told)
    assert_adds_up(told)
    assert len(fault.events) == len(told.invocations), str(story)
    assert all((each.duration_ms or 0.0) < 20_000 for each in told.invocations), str(story)
