"""One local run from the first start to the last shutdown.

In: a Plan. Out: a Run: records, facts, EMF lines.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from afterglow.records import Record, RecordError, decode
from afterglow_collector.facts import Call, RunFacts
from afterglow_layer.failure import Failure
from afterglow_layer.local import answered, stale
from afterglow_layer.local.calls import Calls
from afterglow_layer.local.launch import start
from afterglow_layer.local.limits import limits_of
from afterglow_layer.local.logs import Logs
from afterglow_layer.local.plan import Plan

__all__ = ["Run", "read_records", "run", "start"]


class Run(NamedTuple):
    """What came of it."""

    records: list[Record]
    facts: RunFacts
    emf: list[str]
    agent: list[str]  # what the extension and the hook printed besides EMF
    interrupted: bool


def run(plan: Plan) -> Run:
    """Start the function, invoke it with every event, shut it down; Ctrl-C ends it early, in that order.

    With ``cold_every``, one environment follows another, each in a sandbox of its own.
    """
    started_at_ms = time.time() * 1000
    logs = Logs(plan.show)
    parts: list[_Part] = []
    for events in _shares(plan.events, plan.cold_every):
        parts.append(_next_part(plan._replace(events=events), logs, parts))
        if parts[-1].interrupted or parts[-1].problem:
            break
    return Run(
        answered.complete((record for part in parts for record in part.records), parts[-1].session.made),
        _facts(plan, parts, logs, started_at_ms),
        logs.emf,
        list(logs.agent),
        parts[-1].interrupted,
    )


def _shares(events: list[bytes], size: int | None) -> list[list[bytes]]:
    """Return the events, environment by environment."""
    size = size or len(events)
    return [events[start : start + size] for start in range(0, len(events), size)]


class _Part(NamedTuple):
    """What came of one environment."""

    session: Calls
    records: list[Record]
    limits: list[str]
    interrupted: bool
    problem: str | None


def _next_part(plan: Plan, logs: Logs, parts: list[_Part]) -> _Part:
    """Run one more environment; where it does not come up, what the earlier ones have shown is kept."""
    if not parts:
        return _run_environment(plan, logs, [])
    try:
        return _run_environment(plan, logs, parts[-1].session.made)
    except KeyboardInterrupt:
        return parts[-1]._replace(records=[], interrupted=True)
    except Failure as failure:
        return parts[-1]._replace(records=[], problem=str(failure))


def _run_environment(plan: Plan, logs: Logs, before: list[Call]) -> _Part:
    run_dir = Path(tempfile.mkdtemp(prefix="afterglow-run-"))
    stale.sign(run_dir)  # until the keeper does: somebody must be to blame for it
    records_file = run_dir / "records.ndjson"
    try:
        sandbox, _ = start(plan, run_dir, records_file, logs)
    except BaseException:
        shutil.rmtree(run_dir, ignore_errors=True)
        raise
    session = Calls(plan, sandbox, logs, before)
    try:
        interrupted = session.drive()
        records, complaint = read_records(records_file)
    finally:
        sandbox.close()
    logs.finish()
    limits = limits_of(plan, sandbox.kept, len(os.sched_getaffinity(0)), sandbox.watch.expired)
    return _Part(session, records, limits, interrupted, session.problem or complaint)


def read_records(path: Path) -> tuple[list[Record], str | None]:
    """Return the records in a file, and what is wrong with the first line that is none."""
    records: list[Record] = []
    complaint = None
    text = path.read_text(errors="replace") if path.exists() else ""
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        if not line.endswith("\n"):
            break  # The extension was killed in the middle of it.
        try:
            records.append(decode(line))
        except RecordError as error:
            complaint = complaint or f"record {number} of this run cannot be read: {error}"
    return records, complaint


def _facts(plan: Plan, parts: list[_Part], logs: Logs, started_at_ms: float) -> RunFacts:
    last = parts[-1].session
    return RunFacts(
        handler=plan.handler,
        directory=str(plan.directory),
        python=f"{plan.interpreter.path} ({plan.interpreter.version})",
        memory_mb=plan.memory_mb,
        timeout_s=plan.timeout_s,
        loader=plan.loader,
        freezer=last.freezer.name,
        rie=plan.emulator,
        layer=plan.layer_name,
        started_at_ms=started_at_ms,
        calls=last.made,
        logs=list(logs.function),
        problem=next((part.problem for part in parts if part.problem), None),
        frozen_after_ms=last.frozen_after_ms,
        limits=list(dict.fromkeys(sentence for part in parts for sentence in part.limits)),
    )
