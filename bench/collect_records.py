"""What is sent to the collector in its benchmarks. In: a form and sizes. Out: bodies, one per series.

    rows      Invocations as the sandbox ships them when hook and platform both tell: all fields but two known
    objects   the same Invocations as JSON objects: another sender's, or a log's
    mix       what an environment ships that tells its invocations one by one: to each Invocation an Overhead,
              to each fiftieth a Finding with its two revisions
    prometheus  the five distributions of an Invocation as samples, for servers that know metrics alone

Figures are drawn from a log-normal distribution with a fixed seed. A body is kept in parts, so that a hundred thousand
of them fit into memory: the line of its own Environment, and records that it shares with others.
"""

import gzip
import random
import time
from collections.abc import Callable
from itertools import islice
from typing import Any, get_args, get_type_hints

import zstandard

from afterglow.records import Environment, Finding, Invocation, Overhead, Record, encode, encode_row

SOURCED = ("duration_ms", "cpu_user_ms", "cpu_system_ms", "wait_ms", "rss_bytes", "threads", "hook_ms")
SAMPLED = ("peak_rss_bytes", "fds", "children", "tmp_bytes", "frozen_before_ms", "agent_cpu_ms")
SOURCES = dict.fromkeys(SOURCED, "hook") | dict.fromkeys(SAMPLED, "observed")
LINES = 3_000  # different ones: more than the processor's caches hold

Parts = tuple[bytes, ...]


def bodies_of(form: str, encoding: str, batch: int, series: int, seed: int) -> list[Parts]:
    """Return one body per series, in parts that are sent one after the other."""
    chance = random.Random(seed)
    if form == "prometheus":
        return [(_samples(batch, number, chance),) for number in range(series)]
    blocks = _blocks(form, batch, chance)
    bodies = [
        (f"{encode(environment(seed, number))}\n".encode(), blocks[number % len(blocks)]) for number in range(series)
    ]
    pack = PACKERS[encoding]
    return [(pack(b"".join(body)),) for body in bodies] if pack is not None else list[Parts](bodies)


PACKERS: dict[str, Callable[[bytes], bytes] | None] = {
    "identity": None,
    "gzip": lambda body: gzip.compress(body, 6),  # the sandbox's level
    "zstd": zstandard.compress,
}


def _blocks(form: str, batch: int, chance: random.Random) -> list[bytes]:
    """Return the records of some batches, as lines; enough of them that each is met anew from memory."""
    now_ms = int(time.time() * 1000)
    write = encode if form == "objects" else encode_row
    calls = [call(now_ms, index, chance) for index in range(LINES)]
    lines = [write(record).encode() for record in (_mixed(calls, now_ms, chance) if form == "mix" else calls)]
    count = max(64, LINES // batch)
    return [
        b"\n".join(chance.sample(lines, batch)) if form != "mix" else _stretch(lines, batch, chance)
        for _ in range(count)
    ]


def _stretch(lines: list[bytes], batch: int, chance: random.Random) -> bytes:
    start = chance.randrange(len(lines) - batch)
    return b"\n".join(islice(lines, start, start + batch))


def _mixed(calls: list[Invocation], now_ms: int, chance: random.Random) -> list[Record]:
    records: list[Record] = []
    for number, one in enumerate(calls):
        records.append(one)
        if number % 50 == 0:
            begun = filled(Finding, chance, at_ms=now_ms, kind="lingering", what="thread", changes=["lingering"])
            records += [begun, begun._replace(revision=6, changes=["ended"], outcome="done")]
        records.append(Overhead(now_ms, lognormal(chance), 30_000_000, lognormal(chance), 0))
    return records


def call(at_ms: int, index: int, chance: random.Random) -> Invocation:
    """Return an Invocation with plausible figures in all fields but its errors and its trace."""
    made: Invocation = filled(
        Invocation,
        chance,
        request_id=f"8f5d2c1e-3f0b-4b52-9a77-{chance.randrange(16**12):012x}",
        index=index,
        at_ms=at_ms,
        status="ok" if chance.random() < 0.98 else "error",
        rss_bytes=chance.randrange(40_000_000, 90_000_000),
        peak_rss_bytes=chance.randrange(90_000_000, 120_000_000),
        sources=SOURCES,
    )
    return made


def filled(cls: type[Record], chance: random.Random, **known: object) -> Any:
    """Return a record with plausible figures where nothing is given; texts that may be unknown are."""
    values = dict(known)
    for name, wanted in get_type_hints(cls).items():
        if name not in values:
            kinds = get_args(wanted) or (wanted,)
            plausible = {str: None if type(None) in kinds else "x", float: lognormal(chance), int: 5, bool: False}
            values[name] = plausible[kinds[0]]
    return cls(**values)


def lognormal(chance: random.Random) -> float:
    """Return a duration: median 20 ms, one in a hundred above 200."""
    return round(chance.lognormvariate(3, 1), 3)


def environment(seed: int, series: int) -> Environment:
    """Return the Environment of one series' only sender."""
    made: Environment = filled(
        Environment,
        random.Random(0),
        env_id=f"{seed:04x}{series:08x}-3f0b-4b52-9a77-0123456789ab",
        function=f"function-{series}",
        version="7",
        memory_mb=512,
        arch="arm64",
        init_type="on-demand",
        started_at_ms=1,
    )
    return made


def figures(one: Invocation) -> dict[str, float]:
    """Return the five distributions that an Invocation contributes to, for servers that know metrics alone."""
    return {
        "DurationMs": one.duration_ms or 0,
        "CpuMs": (one.cpu_user_ms or 0) + (one.cpu_system_ms or 0),
        "WaitMs": one.wait_ms or 0,
        "MemoryUsedMB": (one.peak_rss_bytes or 0) / (1 << 20),
        "MemoryUtilization": (one.peak_rss_bytes or 0) / (1 << 20) / 5.12,
    }


def _samples(batch: int, series: int, chance: random.Random) -> bytes:
    calls = [call(1, 1, chance) for _ in range(batch)]
    label = f'{{function="function-{series}"}}'
    lines = [f"{name}{label} {value:.3f}" for one in calls for name, value in figures(one).items()]
    return "\n".join(lines).encode()
