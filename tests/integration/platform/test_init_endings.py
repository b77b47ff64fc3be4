"""An Init that fails: one Ending of its own, and one record for each invocation that was started for it."""

from typing import NamedTuple

import pytest
from tests.integration.platform.endings_table import line_of
from tests.integration.platform.stages import Scene, play_both
from tests.integration.platform.told import assert_adds_up, assert_each_once

pytestmark = pytest.mark.usefixtures("namespaces")


class Failure(NamedTuple):
    """How an Init fails, and what Afterglow must say of it."""

    name: str
    handler: str
    detail: str
    status: str = "init-error"
    where: str | None = None

    def scene(self, platform: str) -> Scene:
        env = {"AT_IMPORT": self.name} if self.handler == "endings.by_name" else {}
        if platform == "builtin":  # RIE says by itself what it holds Init to; Lambda has its 10 s
            env["AWS_LAMBDA_FUNCTION_TIMEOUT"] = "1"
        return Scene(self.handler, platform, env, {"init_timeout_ms": 1_000, "timeout_ms": 1_000})


FAILURES = (
    Failure("no-module", "no_such_module.handler", "Runtime.ImportModuleError"),
    Failure("no-handler", "endings.no_such_function", "Runtime.HandlerNotFound"),
    Failure("import-error", "endings.by_name", "Runtime.ImportModuleError", where="import-error"),
    Failure("raise", "endings.by_name", "ValueError", where="raise"),
    Failure("system-exit", "endings.by_name", "SystemExit", where="system-exit"),
    Failure("exit", "endings.by_name", ""),
    Failure("segfault", "endings.by_name", "Segmentation fault", where="segfault"),
    Failure("sleep", "endings.by_name", "timeout", status="timeout", where="sleep"),
)


@pytest.mark.parametrize("platform", ["builtin", "rie"])
@pytest.mark.parametrize("failure", FAILURES, ids=[failure.name for failure in FAILURES])
def test_an_init_that_fails_is_told_once_per_try(failure: Failure, platform: str) -> None:
    """Lambda tries a failed Init again inside the invocation: that is an environment, and an Init, of its own."""
    story, without = play_both(failure.scene(platform), [{}])

    assert without.heard == story.heard, f"the layer changed an answer\n{story}"
    assert story.told, str(story)
    for told in story.told:
        (ending,) = told.endings
        assert (failure.status, None) == (ending.status, ending.request_id), str(told)
        assert failure.detail in (ending.detail or ""), str(told)
        frames = [frame for stack in ending.stacks for frame in stack]
        assert failure.where is None or any(f.startswith(line_of(failure.where) + " ") for f in frames), str(told)
        assert_each_once(told)
        assert_adds_up(told)


@pytest.mark.parametrize("failure", FAILURES, ids=[failure.name for failure in FAILURES])
def test_an_invocation_whose_init_fails_has_a_record(failure: Failure) -> None:
    """Only the Telemetry API knows of it: no handler, and no extension, was ever given it."""
    story, _ = play_both(failure.scene("builtin"), [{}])
    phases = [told.init.phase for told in story.told]
    statuses = [told.statuses for told in story.told]

    assert ["init", "invoke"] == phases, str(story)
    assert [[], [failure.status]] == statuses, str(story)
