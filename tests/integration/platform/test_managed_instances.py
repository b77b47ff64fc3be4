"""Managed Instances: no INVOKE, several invocations at once, forked workers; on the emulator and on RIE's own mode."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.integration.platform.endings_table import line_of
from tests.integration.platform.managed_rie import managed_rie
from tests.integration.platform.stages import Scene, started
from tests.integration.platform.told import Told, assert_adds_up, assert_each_once, read_told

from afterglow_layer.emulator.settings import InitType

pytestmark = pytest.mark.usefixtures("namespaces")

WORKERS = 3
EMULATED = {"init_type": InitType.MANAGED, "max_concurrency": WORKERS, "timeout_ms": 1_500}

Invoke = Callable[[Any], bytes]


@contextmanager
def on_builtin(folder: Path, records: Path, env: dict[str, str]) -> Iterator[Invoke]:
    with started(Scene(settings=EMULATED, env=env), records) as function:
        yield lambda event: function.invoke(event).body
        function.settle()


@contextmanager
def on_rie(folder: Path, records: Path, env: dict[str, str]) -> Iterator[Invoke]:
    with managed_rie(folder, WORKERS, {"AFTERGLOW_RECORDS_FILE": str(records), **env}) as rie:
        yield lambda event: rie.invoke(event).body


PLATFORMS = {"builtin": on_builtin, "rie": on_rie}


def play(platform: str, folder: Path, rounds: list[list[object]], **env: str) -> tuple[list[Any], Told]:
    """Invoke with the events of a round at once, round after round; return the answers and what was told."""
    out = folder / "out"
    out.mkdir()
    out.chmod(0o777)  # RIE's extension is another user.
    records = out / "records.ndjson"
    with PLATFORMS[platform](folder, records, env) as invoke, ThreadPoolExecutor(WORKERS) as pool:
        answers = [json.loads(body) for together in rounds for body in pool.map(invoke, together)]
    (told,) = read_told(records)
    return answers, told


@pytest.fixture(params=sorted(PLATFORMS))
def platform(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


SLEEPS = [{"do": "sleeps", "ms": ms} for ms in (60, 120, 180)]
QUIET = [{"do": "sleeps", "ms": 100}]
"""A last one on its own, so that those before it are told while the environment lives."""


def test_concurrent_invocations_are_told_apart(platform: str, tmp_path: Path) -> None:
    apart = [{"do": "sleeps", "ms": ms} for ms in (50, 400, 750)]
    answers, told = play(platform, tmp_path, [apart, [{"do": "raises"}], QUIET])
    durations = sorted(each.duration_ms or 0 for each in told.invocations if each.status == "ok")

    assert ["slept"] * 3 == answers[:3], answers
    assert [*["error"], *["ok"] * 4] == sorted(told.statuses), str(told)
    for wanted, measured in zip([50, 100, 400, 750], durations, strict=True):
        assert wanted <= measured < wanted + 300, (durations, str(told))
    assert_each_once(told)
    assert_adds_up(told)


def test_each_worker_is_hooked_and_telemetry_is_subscribed(platform: str, tmp_path: Path) -> None:
    _, told = play(platform, tmp_path, [SLEEPS, QUIET])
    sources = [each.sources for each in told.invocations]

    assert "lambda-managed-instances" == told.environment.init_type, str(told)
    assert {"platform"} == {each["duration_ms"] for each in sources[:WORKERS]}, str(told)
    assert {"platform"} == {each["response_latency_ms"] for each in sources[:WORKERS]}, str(told)
    assert {"hook"} == {each["cpu_user_ms"] for each in sources[:WORKERS]}, str(told)
    assert "platform" == told.init.sources["init_ms"], str(told)
    assert {} == told.dropped, str(told)


def test_what_cannot_be_told_apart_is_not_told(platform: str, tmp_path: Path) -> None:
    """Memory is the worker's own; the extension's CPU is the environment's, and stands in Overhead alone."""
    _, told = play(platform, tmp_path, [SLEEPS, QUIET])
    first = told.invocations[:WORKERS]

    assert {None} == {each.agent_cpu_ms for each in told.invocations}, str(told)
    for each in first:
        assert each.rss_bytes is not None, str(told)
        assert each.peak_rss_bytes is not None, str(told)
        assert each.rss_bytes * 0.8 <= each.peak_rss_bytes <= each.rss_bytes * 1.6, str(told)


def test_without_a_hook_the_platform_tells(platform: str, tmp_path: Path) -> None:
    _, told = play(platform, tmp_path, [SLEEPS, QUIET], AFTERGLOW_HOOK="off")

    assert ["ok"] * 4 == told.statuses, str(told)
    assert {"platform"} == {each.sources["status"] for each in told.invocations}, str(told)
    assert_each_once(told)
    assert_adds_up(told)


@pytest.mark.parametrize("do", ["segfaults", "kills_itself"])
def test_a_worker_that_crashes_ends_its_invocation_alone(do: str, tmp_path: Path) -> None:
    """The caller waits until the deadline, as the runtime's other workers go on; the record says what it was."""
    answers, told = play("builtin", tmp_path, [[{"do": "returns"}], [{"do": do}, *SLEEPS[:2]], QUIET])
    (ending,) = told.endings
    frames = [frame for stack in ending.stacks for frame in stack]

    assert ["fine", "slept", "slept", "slept"] == [answers[0], *answers[2:]], answers
    assert ["crash", *["ok"] * 4] == sorted(told.statuses), str(told)
    assert "crash" == ending.status, str(told)
    assert (do == "segfaults") == any(frame.startswith(line_of("segfaults") + " ") for frame in frames), str(told)
    assert_each_once(told)
    assert_adds_up(told)
