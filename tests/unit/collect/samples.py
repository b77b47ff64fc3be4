"""Records and batches built by hand, for the collector's tests."""

import time
from typing import Any, get_args, get_type_hints

from afterglow.metrics import DEFAULT_METRICS
from afterglow.records import SCHEMA_VERSION, Environment, Finding, Invocation, Overhead, Record, encode
from afterglow_collector.collect.digest import Digest, Digester
from afterglow_collector.collect.forms import FORMS
from afterglow_collector.collect.wire import Batch, Limits

MINUTE = 29_395_000
AT_MS = MINUTE * 60_000
ANY_TIME = Limits(line_bytes=65_536, from_ms=0, until_ms=1 << 50)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def filled(cls: type[Record], **known: Any) -> Any:
    """A record with plain values where nothing is given: whatever the schema has grown by."""
    return cls(**{name: known.get(name, plain(wanted)) for name, wanted in get_type_hints(cls).items()})


def plain(wanted: Any) -> Any:
    options = get_args(wanted)
    origin = getattr(wanted, "__origin__", None)
    if origin in (list, dict):
        return origin()
    if type(None) in options:
        return None
    return {str: "x", int: 1, float: 1.5, bool: False}[wanted]


def environment(env_id: str = "env-1", function: str = "checkout", memory_mb: int | None = 512) -> Environment:
    known = {"version": "7", "arch": "arm64", "init_type": "on-demand"}
    made: Environment = filled(Environment, env_id=env_id, function=function, memory_mb=memory_mb, **known)
    return made


def call(at_ms: int = AT_MS, duration_ms: float | None = 10.0, **known: Any) -> Invocation:
    made: Invocation = filled(
        Invocation, at_ms=at_ms, duration_ms=duration_ms, **{"status": "ok", "hook_ms": 0.1, **known}
    )
    return made


def finding(at_ms: int = AT_MS, changes: tuple[str, ...] = ("lingering",), **known: Any) -> Finding:
    place = {"kind": "lingering", "what": "thread", "file": "/var/task/app.py", "line": 3, "function": "handler"}
    made: Finding = filled(Finding, at_ms=at_ms, changes=list(changes), **{**place, "request_id": "r-1", **known})
    return made


def overhead(at_ms: int = AT_MS, hook_ms: float = 1.0) -> Overhead:
    return Overhead(at_ms, agent_cpu_ms=0.0, agent_rss_bytes=None, hook_ms=hook_ms, bytes_out=0)


def body(*records: Record, env: Environment | None = None) -> bytes:
    """A batch as it is sent."""
    return "\n".join(map(encode, [env or environment(), *records])).encode()


def batch(*records: Record, env: Environment | None = None, metrics: frozenset[str] = DEFAULT_METRICS) -> Digest:
    """The same, as it counts."""
    return Digester(metrics).digest(unchecked(*records, env=env))


def unchecked(*records: Record, env: Environment | None = None) -> Batch:
    """A batch as it is read, also with figures that the door would not let in."""
    structs = [FORMS[type(record)].named(SCHEMA_VERSION, *record) for record in records]
    times = [struct.at_ms for struct in structs]
    return Batch(env or environment(), structs, b"", None, min(times, default=0), max(times, default=0))
