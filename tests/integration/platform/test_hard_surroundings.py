"""Where something is missing or full or long: the function's answers stay as they are, and what is lost is counted."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.platform.stages import Heard, Scene, Story, masked, play, play_both, started
from tests.integration.platform.told import assert_adds_up, assert_each_once, read_told

from afterglow.records import Overhead

pytestmark = pytest.mark.usefixtures("namespaces")

LARGEST_BYTES = 6 * 1024 * 1024 - 100
"""Lambda's limit for events and responses, less the quotes and the rest."""

ROOMY = {"timeout_ms": 20_000}


def test_events_and_responses_of_6_mb() -> None:
    events = [{"do": "measures", "text": "x" * (LARGEST_BYTES - 100)}, {"do": "answers", "bytes": LARGEST_BYTES}] * 2
    story, without = play_both(Scene(settings=ROOMY), events)
    (told,) = story.told

    assert without.heard == story.heard
    assert [LARGEST_BYTES + 2] * 2 == [each.produced_bytes for each in told.invocations[1::2]], str(told)
    assert_adds_up(told)


def test_a_response_that_is_too_long_is_refused_as_it_is_without_us() -> None:
    story, without = play_both(Scene(settings=ROOMY), [{"do": "answers", "bytes": LARGEST_BYTES + 200}])
    (told,) = story.told

    assert without.heard == story.heard
    assert ["error"] == told.statuses, str(told)


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_thousands_of_invocations_in_one_environment_leave_no_trace_in_memory(count: int, tmp_path: Path) -> None:
    """Neither in the extension nor, by the hook, in the function."""
    records = tmp_path / "records.ndjson"
    with started(Scene(settings={**ROOMY, "freeze": False}), records) as function:
        for _ in range(count):
            function.invoke({"do": "returns"})
    (told,) = read_told(records)
    rss = [each.agent_rss_bytes for each in told.of(Overhead) if each.agent_rss_bytes is not None]
    early, late = rss[len(rss) // 3], rss[-1]
    functions = [each.rss_bytes for each in told.invocations if each.rss_bytes is not None]
    growth = functions[-1] - functions[len(functions) // 3]

    assert count == len(told.invocations)
    assert growth <= 512 * 1024, f"the function grew by {growth} bytes"
    assert late - early <= 512 * 1024, f"the extension grew from {early} to {late} bytes"
    assert_each_once(told)
    assert_adds_up(told)


@contextmanager
def name_taken(function_api: str) -> Iterator[None]:
    """Sit on the abstract name that the hook would call."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as squatter:
        squatter.bind("\0afterglow/1/" + function_api)
        yield


def test_without_the_hooks_socket_the_platform_tells(tmp_path: Path) -> None:
    records = tmp_path / "records.ndjson"
    with started(Scene(), records) as function, name_taken(function.runtime_api):
        answers = [function.invoke({"do": name}) for name in ("returns", "raises", "returns")]
        function.settle()
    (told,) = read_told(records)

    assert [200] * 3 == [answer.status for answer in answers]
    assert 3 == len(told.invocations), str(told)
    assert {"platform"} == {each.sources["status"] for each in told.invocations}, str(told)
    assert {"platform"} == {each.sources["duration_ms"] for each in told.invocations}, str(told)
    assert_each_once(told)


@pytest.mark.parametrize("option", ["ro", "full"])
def test_a_records_file_that_cannot_be_written_is_counted(option: str, tmp_path: Path) -> None:
    """As /tmp is where Lambda has it read-only (containers' own rules) or full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    size = "64k" if option == "full" else "1m,ro"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        if option == "full":
            subprocess.run(["dd", "if=/dev/zero", f"of={disk}/all", "bs=4k"], capture_output=True, check=False)
        env = {"AFTERGLOW_RECORDS_FILE": str(disk / "records.ndjson")}
        story, without = play_both(Scene(env=env), [{"do": "returns"}] * 3)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    dropped = [json.loads(each)["DroppedRecords"] for each in metrics_of(story) if "DroppedRecords" in each]

    assert without.heard == story.heard, str(story)
    assert dropped, str(story)


def metrics_of(story: Story) -> list[str]:
    """Return the EMF lines that the extension printed."""
    printed = [each.detail["line"] for each in story.seen if each.kind == "output" and each.who == "afterglow"]
    return [line for line in printed if line.startswith('{"_aws"')]


@pytest.mark.parametrize("when", ["before", "during"])
def test_an_extension_that_dies_ends_the_environment_as_lambda_has_it(when: str, tmp_path: Path) -> None:
    """502 with the function's real body, and the next invocation starts anew (seen on RIE)."""
    with started(Scene(settings={**ROOMY, "freeze": False}), tmp_path / "records.ndjson") as function:
        function.invoke({"do": "returns"})
        function.settle()  # its answer is out before the extension has asked for more
        pid = next(e.detail["pid"] for e in function.events if e.kind == "process.start" and e.who == "afterglow")
        if when == "during":
            running = function.begin({"do": "says_so_and_sleeps", "s": 0.5})
            function.wait_for(lambda seen: seen.kind == "output" and seen.detail["line"] == "sleeping")
            os.kill(pid, signal.SIGKILL)
            died = running.wait(15)
        else:
            os.kill(pid, signal.SIGKILL)
            function.wait_for(lambda seen: seen.kind == "process.exit" and seen.who == "afterglow")
            died = function.invoke({"do": "returns"})
        after = function.invoke({"do": "returns"})

    assert died.status == 502
    assert Heard(200, b'"fine"') == Heard(after.status, masked(after.body))


def test_no_telemetry_where_it_is_switched_off() -> None:
    story = play(Scene(env={"AFTERGLOW_TELEMETRY": "off"}), [{"do": "returns"}] * 2)
    (told,) = story.told

    assert not [each for each in story.seen if each.kind == "api.telemetry"], str(story)
    assert {"hook"} == {each.sources["duration_ms"] for each in told.invocations}, str(told)
