"""What a local run knows without any record: its set-up, and what the caller saw of each invocation."""

from collections.abc import Sequence
from typing import NamedTuple


class Call(NamedTuple):
    """What the caller saw of one invocation."""

    index: int  # type: ignore[assignment]  # 1 for the run's first; hides tuple.index, which nobody needs here
    request_id: str | None
    sent_at_ms: float
    took_ms: float
    http_status: int | None  # None: no answer came
    outcome: str  # ok, error, timeout, crash, no-answer
    error_type: str | None
    answer: str  # at most its first 2000 characters
    frozen_before_ms: float  # how long the sandbox was held frozen before this call


class RunFacts(NamedTuple):
    """What the local run knows without any record."""

    handler: str
    directory: str
    python: str
    memory_mb: int
    timeout_s: float
    loader: str  # how the hook came in: the .pth, or the exec wrapper
    freezer: str  # cgroup v1, cgroup v2, SIGSTOP, none
    rie: str
    layer: str | None  # None: run without the layer, so there are no records
    started_at_ms: float
    calls: list[Call]
    logs: list[str]
    problem: str | None  # why the run could not do what was asked of it
    frozen_after_ms: float | None = None  # how long the sandbox was held frozen after the last call
    limits: Sequence[str] = ()  # what the function was held to, and what could not be enforced, in words
