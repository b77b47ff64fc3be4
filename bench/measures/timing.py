"""Durations as Afterglow tells them, against the platform's own clock. In: runs under both. Out: a Section."""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from afterglow.records import Invocation, Record
from afterglow_layer.emulator import Lambda, LambdaSettings, managed_python
from afterglow_layer.emulator.journal import Seen
from afterglow_layer.failure import Failure
from afterglow_layer.local import session
from afterglow_layer.local.invoke import invoke
from afterglow_layer.local.logs import Logs
from bench.arms import layer_arm
from bench.effort import Effort
from bench.environment import HANDLERS, plan_for, this_python
from bench.section import Budget, Section, Table
from bench.stats import bootstrap, summary

TITLE = "durations against the platform's own clock"
LENGTHS_MS = {0: 60, 5: 60, 50: 30, 500: 8}
"""How long the handler lasts → how many of them."""
LIMIT_S = 60
BUDGET_MS, BUDGET_SHARE = 1.0, 0.01

METHOD = """\
A handler that sleeps, or burns CPU, for a given time, again and again in one environment; of each invocation, the
duration that Afterglow tells and the one that the platform has measured itself, paired by request id. *Error* is told
less measured. RIE's clock is `Duration` of its REPORT line, in whole ms; the built-in emulator's is `durationMs` of
platform.runtimeDone. Both begin before the runtime has the event and end when it asks for the next one, so they hold
the platform's own work, the runtime client's and the hook's besides the handler's: what a handler of 0 ms shows. The
budget is held against what is left of the error, either way, when the median of those is taken off. *Hook* is the
hook's figure (on the emulator by AFTERGLOW_TELEMETRY=off). *Merged* is what is told with telemetry: the platform's
figure, which must come through as it was. The first invocation does not count, as RIE adds Init to it."""

NOTE = """\
The budgets are medians. A wait for a CPU between the platform's clock and the handler's counts as an error here, though
neither clock is wrong: the p90 and the most are those of a busy machine (see its load average)."""

HEAD = ["platform, figure", "handler", "n", "median error, ms", "left: median, ms", "p90, ms", "most, ms", "in budget"]
_REPORT = re.compile(r"REPORT RequestId: ([0-9a-f-]{36})\s.*?\sDuration: ([0-9.]+) ms")


class Pair(NamedTuple):
    """One invocation by two clocks."""

    event: str  # what the handler did
    told_ms: float
    measured_ms: float


class Reports(Logs):
    """RIE's log, with what its REPORT lines say."""

    def __init__(self) -> None:
        super().__init__()
        self.durations_ms: dict[str, float] = {}

    def _take(self, line: str) -> None:
        found = _REPORT.search(line)
        if found:
            self.durations_ms[found[1]] = float(found[2])
        super()._take(line)


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Measure on each platform."""
    rows: list[list[str]] = []
    errors: dict[str, list[float]] = {}
    arms = {
        "RIE, hook": on_rie,
        "emulator, hook": lambda events: on_emulator(events, {"AFTERGLOW_TELEMETRY": "off"}),
        "emulator, merged": lambda events: on_emulator(events, {}),
    }
    for name, run in arms.items():
        pairs = run([{"ms": 0, "busy": False}, *schedule(effort)])[1:]
        errors[name] = [excess(pair, platforms_share(pairs)) for pair in pairs]
        rows += rows_of(name, pairs)
        show(Table(HEAD, rows))
    what = "Error beyond 1 % of the duration and the platform's own share"
    budgets = [Budget(f"{what}, {name}", BUDGET_MS, "ms", bootstrap(found)) for name, found in errors.items()]
    return Section(METHOD, budgets, [Table(HEAD, rows)], [NOTE])


def schedule(effort: Effort) -> list[dict[str, Any]]:
    """Return the events: all lengths, asleep and busy, taking turns."""
    counts = {ms: effort.rounds(count) for ms, count in LENGTHS_MS.items()}
    turns = range(max(counts.values()))
    return [{"ms": ms, "busy": busy} for turn in turns for ms in counts if turn < counts[ms] for busy in (False, True)]


def platforms_share(pairs: list[Pair]) -> float:
    """Return the usual error, in ms, for a handler that does nothing."""
    return summary([pair.told_ms - pair.measured_ms for pair in pairs if pair.event.startswith("0 ms")]).median


def excess(pair: Pair, share_ms: float) -> float:
    """Return by how many ms the error, less the platform's share, exceeds a hundredth of the duration; else 0."""
    return max(0.0, abs(pair.told_ms - pair.measured_ms - share_ms) - BUDGET_SHARE * pair.measured_ms)


def rows_of(name: str, pairs: list[Pair]) -> list[list[str]]:
    """Return a row per length and kind."""
    rows = []
    share_ms = platforms_share(pairs)
    for event in dict.fromkeys(pair.event for pair in pairs):
        some = [pair for pair in pairs if pair.event == event]
        errors = [pair.told_ms - pair.measured_ms for pair in some]
        left = summary([abs(error - share_ms) for error in errors])
        within = sum(excess(pair, share_ms) <= BUDGET_MS for pair in some)
        figures = [f"{summary(errors).median:+.3f}", *(f"{each:.3f}" for each in (left.median, left.p90, left.most))]
        rows.append([name, event, str(len(some)), *figures, f"{100 * within / len(some):.0f} %"])
    return rows


def on_rie(events: list[dict[str, Any]]) -> list[Pair]:
    """Return what RIE and the hook measured."""
    arm = layer_arm(this_python())._replace(env={})
    with tempfile.TemporaryDirectory(prefix="afterglow-bench-") as scratch:
        records_file, logs = Path(scratch, "records.ndjson"), Reports()
        plan = plan_for(arm, "sleeping.handler")
        sandbox, _ = session.start(plan, Path(tempfile.mkdtemp(prefix="afterglow-bench-")), records_file, logs)
        try:
            for event in events:
                invoke(sandbox.invoke_port, json.dumps(event).encode(), LIMIT_S)
            sandbox.stop()
        finally:
            sandbox.close()
            logs.finish()
        records, complaint = session.read_records(records_file)
    if complaint:
        raise Failure(complaint)
    return list(paired(events, records, logs.durations_ms))


def on_emulator(events: list[dict[str, Any]], env: dict[str, str]) -> list[Pair]:
    """Return what the emulator measured, and what was told of it."""
    arm = layer_arm(this_python())
    with tempfile.TemporaryDirectory(prefix="afterglow-bench-") as scratch:
        records_file = Path(scratch, "records.ndjson")
        ours = {"AFTERGLOW_PYTHON": this_python().base, "AFTERGLOW_RECORDS_FILE": str(records_file), **env}
        settings = LambdaSettings(cwd=HANDLERS, env=ours, timeout_ms=LIMIT_S * 1000, freeze=False)
        with Lambda(managed_python("sleeping.handler"), settings=settings, layer=arm.layer) as function:
            for event in events:
                function.invoke(event)
                function.settle()
        records, complaint = session.read_records(records_file)
    if complaint:
        raise Failure(complaint)
    return list(paired(events, records, dict(map(measured, filter(is_done, function.events)))))


def is_done(seen: Seen) -> bool:
    """Return whether this is a platform.runtimeDone."""
    return seen.kind == "telemetry.event" and seen.detail["type"] == "platform.runtimeDone"


def measured(seen: Seen) -> tuple[str, float]:
    """Return a request id, and the duration that its platform.runtimeDone gives."""
    record = seen.detail["record"]
    return record["requestId"], record["metrics"]["durationMs"]


def paired(events: list[dict[str, Any]], records: list[Record], platform: dict[str, float]) -> Iterator[Pair]:
    """Yield a Pair per invocation, in order; Failure where one of the two clocks is missing."""
    told = sorted((each for each in records if isinstance(each, Invocation)), key=lambda each: each.index)
    if len(told) != len(events):
        raise Failure(f"{len(told)} of {len(events)} invocations have a record")
    for event, each in zip(events, told, strict=True):
        if each.duration_ms is None or each.request_id not in platform:
            raise Failure(f"invocation {each.index} has no duration, or the platform says nothing of it")
        name = f"{event['ms']} ms, {'busy' if event['busy'] else 'asleep'}"
        yield Pair(name, each.duration_ms, platform[each.request_id])
