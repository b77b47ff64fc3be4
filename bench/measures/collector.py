"""What the collector takes, beside servers that do less. In: its processes and its rivals'. Out: a Section."""

import json
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from afterglow_layer.failure import Failure
from bench.collect_rivals import load_statsd, load_vmagent, taker
from bench.collect_rounds import BATCH, HOW, SERIES, VOLATILE, Round, at_least, measured, median, records
from bench.collect_servers import Server, collector, load, noop, statsd, vmagent
from bench.effort import Effort
from bench.section import Budget, Section, Table
from bench.stats import Interval

TITLE = "what `afterglow collect` takes"
SECONDS = 4.0
ROUNDS = 3
DURABLE, FAST = 400_000, 600_000
METHOD = f"""{HOW}
*Rows* are Invocations as the layer ships them, some 250 bytes each
with nearly all of 29 fields known; *objects* are the same as JSON objects, 900 bytes; *mix* is what an environment
ships that tells its invocations one by one: an Overhead to each, and a Finding to some. The rivals get the same
Invocations as the metrics that they contribute to: statsd nine lines, vmagent five samples. Neither has a batch's
identity, and neither is durable before it answers (statsd does not answer). Rounds take turns; figures are medians."""


class Arm(NamedTuple):
    """One server under one load."""

    name: str
    start: Callable[[], AbstractContextManager[Server]]
    work: Callable[[Server, float], Round]


def _ours(name: str, *options: str, **words: str) -> Arm:
    return Arm(name, lambda: collector(*options), lambda server, seconds: records(server, seconds, **words))


@contextmanager
def _vmagent() -> Iterator[Server]:
    with taker() as port, vmagent(port) as server:
        yield server


ARMS = (
    _ours("durable, rows"),
    _ours("durable, rows, gzip", encoding="gzip"),
    _ours("durable, mix, gzip", form="mix", encoding="gzip"),
    _ours("durable, objects", form="objects"),
    _ours("volatile, rows", *VOLATILE),
    _ours("volatile, objects", *VOLATILE, form="objects"),
    Arm("uvicorn, bare ASGI, does nothing; rows", noop, records),
    Arm("statsd (npm), TCP", statsd, lambda server, s: measured(server, lambda: load_statsd(server, s, BATCH, SERIES))),
    Arm(
        "vmagent, stream aggregation",
        _vmagent,
        lambda server, s: measured(server, lambda: load_vmagent(server, s, BATCH, SERIES)),
    ),
)


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Load all of them, in turns; then weigh the EMF."""
    rounds: dict[str, list[Round]] = {arm.name: [] for arm in ARMS}
    left_out: dict[str, str] = {}
    for number in range(1 if effort.quick else ROUNDS):
        for arm in (*ARMS[number:], *ARMS[:number]):
            try:
                with arm.start() as server:
                    rounds[arm.name].append(arm.work(server, SECONDS / 4 if effort.quick else SECONDS))
            except Failure as failure:  # npm or go is not there, or has no registry
                left_out[arm.name] = f"{arm.name}: left out, {failure}."
            show(_table(rounds))
    notes = [
        at_least(f"records/s/core at batches of {BATCH}, durable, rows", DURABLE, median(rounds["durable, rows"])),
        at_least(f"records/s/core at batches of {BATCH}, volatile, rows", FAST, median(rounds["volatile, rows"])),
    ]
    if median(rounds["volatile, rows"]) < FAST:
        notes.append(_what_is_missing(median(rounds["volatile, rows"])))
    table, budget = _emf()
    return Section(METHOD, [budget], [_table(rounds), table], [*notes, *left_out.values()])


def _what_is_missing(found: float) -> str:
    """Say by how much the volatile collector misses its budget, in the unit in which it could be won back."""
    took_us, budget_us = 1e6 * BATCH / found, 1e6 * BATCH / FAST
    return (
        f"A volatile batch takes {took_us:.1f} µs where the budget leaves {budget_us:.1f}. To parse and check {BATCH} "
        "rows, and to give their memory back, takes msgspec 34 of them; where the others go is in "
        "docs/decisions/0021-columns.md."
    )


def _table(rounds: dict[str, list[Round]]) -> Table:
    head = ["", "rounds", "records/s per core", "least … most", "µs of CPU per record", "on the clock", "MB/s in"]
    rows = [_row(name, of) for name, of in rounds.items() if of]
    return Table(head, rows, f"Batches of {BATCH}, {SERIES:,} series.")


def _row(name: str, of: list[Round]) -> list[str]:
    every = sorted(one.per_core for one in of)
    clock = statistics.median([one.on_the_clock for one in of])
    size = of[0].found.get("body_bytes", 0)
    cells = [f"{median(of):,.0f}", f"{every[0]:,.0f} … {every[-1]:,.0f}", f"{1e6 / median(of):.2f}", f"{clock:,.0f}"]
    return [name, str(len(of)), *cells, f"{clock / BATCH * size / 1e6:,.0f}" if size else ""]


def _emf() -> tuple[Table, Budget]:
    """Weigh the EMF of a minute of a thousand invocations of each of ten functions."""
    with collector("--drain-s", "5") as server:
        load(port=server.port, connections=10, seconds=0.0, batch=1_000, series=10, each_once=True)
        stopped(server)
        lines = (server.data / "out").read_text().splitlines()
    invocations = sum(json.loads(line).get("Invocations", 0) for line in lines)
    total = sum(len(line.encode()) + 1 for line in lines)
    row = [f"{invocations:,}", str(len(lines)), f"{total:,}", f"{total / invocations:.2f}"]
    table = Table(["invocations", "documents", "bytes", "bytes per invocation"], [row], "EMF of ten functions' minute.")
    per = total / invocations
    what = "EMF at 1,000 invocations a minute per function (Lambda Insights documents 1,202 bytes each)"
    return table, Budget(what, 20.0, "bytes per invocation", Interval(per, per, per))


def stopped(server: Server) -> float:
    """Stop the collector, which publishes all that is open; return the CPU seconds that it took to."""
    before_s = used_s = server.cpu_s()
    os.kill(server.pid, signal.SIGTERM)
    while "stopped" not in (server.data / "log").read_text():
        try:
            used_s = max(used_s, server.cpu_s())
        except (FileNotFoundError, IndexError):  # gone between two looks
            break
        time.sleep(0.01)
    return used_s - before_s
