"""Runs built by hand, for the tests of the document and the report."""

from typing import Any

from afterglow.records import (
    Ending,
    Environment,
    Finding,
    Footprint,
    Init,
    Invocation,
    Loss,
    Overhead,
    Record,
    Shutdown,
)
from afterglow_collector.document import Call, RunFacts

START_MS = 1_763_700_000_000
MB = 1024 * 1024


def environment(env_id: str = "env-1", *, runtime: str | None = "python3.11", at: int = 0) -> Environment:
    return Environment(
        env_id, "test_function", "$LATEST", 512, "x86_64", "on-demand", runtime, None, "0.1.0", START_MS + at
    )


def init(at: int = 3, error_type: str | None = None) -> Init:
    fields: dict[str, Any] = {
        **dict.fromkeys(Init._fields),  # what is not named below is not known
        "at_ms": START_MS + at,
        "init_ms": 212.0,
        "extension_ms": 8.1,
        "runtime_boot_ms": 96.0,
        "hook_ms": 0.42,
        "import_ms": 74.0,
        "import_cpu_ms": 70.0,
        "error_type": error_type,
        "sources": {"import_ms": "hook", "extension_ms": "observed"},
    }
    return Init(**fields)


def invocation(index: int, at: int, **changed: Any) -> Invocation:
    fields: dict[str, Any] = {
        **dict.fromkeys(Invocation._fields),
        "request_id": f"request-{index}",
        "index": index,
        "at_ms": START_MS + at,
        "cold": index == 1,
        "status": "ok",
        "error_type": None,
        "duration_ms": 30.0,
        "cpu_user_ms": 4.0,
        "cpu_system_ms": 1.0,
        "wait_ms": 25.0,
        "rss_bytes": 36 * MB,
        "peak_rss_bytes": 38 * MB,
        "threads": 2,
        "fds": 9,
        "children": 0,
        "tmp_bytes": 0,
        "frozen_before_ms": None if index == 1 else 502.0,
        "hook_ms": 0.05,
        "agent_cpu_ms": 1.2,
        "sources": {"duration_ms": "hook", "cpu_user_ms": "hook", "peak_rss_bytes": "observed"},
    }
    return Invocation(**fields | changed)


def finding(**changed: Any) -> Finding:
    fields: dict[str, Any] = {
        "finding_id": "f1",
        "revision": 1,
        "kind": "lingering",
        "what": "thread",
        "name": "Thread-1 (notify)",
        "file": "/var/task/app.py",
        "line": 4,
        "function": "handler",
        "request_id": "request-1",
        "request_index": 1,
        "state": "in I/O",
        "outcome": "open",
        "reason": None,
        "resumed_in": None,
        "resumed_index": None,
        "frozen_ms": None,
        "cpu_ms": None,
        "wall_ms": None,
        "jobs": 1,
        "at_ms": START_MS + 255,
        "changes": ["lingering"],
        "returned_at_ms": START_MS + 250.0,
        "trace": None,
        "worker": None,
    }
    return Finding(**fields | changed)


def resumed(**changed: Any) -> Finding:
    """Went on in the second invocation, 20 ms of it, and ended there."""
    fields: dict[str, Any] = {
        "revision": 2,
        "outcome": "resumed",
        "resumed_in": "request-2",
        "resumed_index": 2,
        "frozen_ms": 502.0,
        "cpu_ms": 1.3,
        "wall_ms": 22.0,
        "at_ms": START_MS + 780,
        "changes": ["resumed", "ended"],
    }
    return finding(**fields | changed)


def call(index: int, at: float, **changed: Any) -> Call:
    fields: dict[str, Any] = {
        "index": index,
        "request_id": f"request-{index}",
        "sent_at_ms": START_MS + at,
        "took_ms": 31.0,
        "http_status": 200,
        "outcome": "ok",
        "error_type": None,
        "answer": '{"ok": true}',
        "frozen_before_ms": 0.0 if index == 1 else 502.0,
    }
    return Call(**fields | changed)


CALLS = [call(1, 0, took_ms=252.0), call(2, 756), call(3, 1291)]


def facts(**changed: Any) -> RunFacts:
    fields: dict[str, Any] = {
        "handler": "app.handler",
        "directory": "/home/me/orders",
        "python": "3.11",
        "memory_mb": 512,
        "timeout_s": 3.0,
        "loader": "pth",
        "freezer": "cgroup v1",
        "rie": "1.170.0",
        "layer": "dist/afterglow-layer-x86_64.zip",
        "started_at_ms": float(START_MS),
        "calls": CALLS,
        "logs": [],
        "problem": None,
    }
    return RunFacts(**fields | changed)


def records(*findings: Finding) -> list[Record]:
    """Return three warm-running invocations with what they left behind."""
    return [
        environment(),
        init(),
        invocation(1, 220),
        invocation(2, 757),
        invocation(3, 1292),
        *findings,
        Footprint(START_MS + 1300, 24 * MB, 10 * MB, None, 3),
        Overhead(START_MS + 1300, 12.0, 13 * MB, 0.15, 3400),
        Overhead(START_MS + 1350, 2.0, 12 * MB, 0.05, 600),
        Loss(START_MS + 1350, "fact", 9, 9, {}),
        Shutdown(START_MS + 1350, "SandboxTerminated", 0, 8.0),
    ]


def ending(**changed: Any) -> Ending:
    """Timed out in the second invocation, in time.sleep, with another thread in a socket."""
    fields: dict[str, Any] = {
        "at_ms": START_MS + 3757,
        "request_id": "request-2",
        "index": 2,
        "status": "timeout",
        "source": "platform",
        "detail": "timeout",
        "error_message": None,
        "stacks": [
            ["/var/task/app.py:4 in wait", "/var/task/app.py:9 in handler"],
            [
                "/usr/lib/python3.11/socket.py:706 in readinto",
                "/var/task/app.py:6 in listen",
                "/usr/lib/python3.11/threading.py:982 in run",
            ],
        ],
        "memory_mb": 512,
        "peak_rss_bytes": 40 * MB,
        "memory_curve": [[-2900.0, 36.0], [-1500.0, 38.0], [-100.0, 40.0]],
        "oom_kills": 0,
    }
    return Ending(**fields | changed)
