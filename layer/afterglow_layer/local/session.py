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
from afterglow_layer.local import environment
from afterglow_layer.local.allotment import cores_of
from afterglow_layer.local.calls import Calls
from afterglow_layer.local.freezer import CHOICES
from afterglow_layer.local.inside import Order
from afterglow_layer.local.limits import limits_of
from afterglow_layer.local.logs import Logs
from afterglow_layer.local.plan import Plan, command, keep_in_tmp, runtime_command
from afterglow_layer.local.sandbox import START_LIMIT_S, Ports, Sandbox, SandboxEnded, free_ports

PORT_TRIES = 5
PROVISIONED_INIT_LIMIT_S = 15 * 60  # Lambda developer guide, execution environment lifecycle


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
        calls = parts[-1].session.made if parts else []
        parts.append(_run_environment(plan._replace(events=events), logs, calls))
        if parts[-1].interrupted or parts[-1].problem:
            break
    return Run(
        [record for part in parts for record in part.records],
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


def _run_environment(plan: Plan, logs: Logs, before: list[Call]) -> _Part:
    run_dir = Path(tempfile.mkdtemp(prefix="afterglow-run-"))
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
    limits = limits_of(plan, sandbox.kept, os.cpu_count() or 1, sandbox.watch.expired)
    return _Part(session, records, limits, interrupted, session.problem or complaint)


def start(plan: Plan, run_dir: Path, records_file: Path, logs: Logs | None = None) -> tuple[Sandbox, Logs]:
    """Return a sandbox that listens, and its logs; the caller closes it, which removes ``run_dir``."""
    logs = logs or Logs(plan.show)
    limit_s = START_LIMIT_S + (PROVISIONED_INIT_LIMIT_S if plan.provisioned else 0)
    for _ in range(PORT_TRIES):
        run_dir.mkdir(exist_ok=True)  # A sandbox that has ended has taken it along.
        ports = free_ports()
        sandbox = Sandbox(_order(plan, ports, run_dir, records_file), ports, plan.freezer, _own_init_limit_s(plan))
        logs.follow(sandbox.stdout, sandbox.stderr, sandbox.watch.hear)
        try:
            sandbox.wait_until_up(limit_s)
        except SandboxEnded:
            sandbox.close()
            logs.finish()
            if not any("address already in use" in line for line in logs.rie):
                raise Failure(f"{plan.emulator} ended before it took a call:\n{logs.last_of_rie()}") from None
        except BaseException:
            sandbox.close()
            raise
        else:
            return sandbox, logs
    raise Failure(f"{PORT_TRIES} times, the ports that were free had been taken when RIE wanted them; try again")


def _own_init_limit_s(plan: Plan) -> float | None:
    """Return the limit that is ours to enforce: the built-in emulator has its own."""
    return plan.init_limit_s if plan.rie and not plan.provisioned else None


def _order(plan: Plan, ports: Ports, run_dir: Path, records_file: Path) -> Order:
    stage = environment.Stage(
        handler=plan.handler,
        directory=str(plan.directory),
        memory_mb=plan.memory_mb,
        timeout_s=plan.timeout_s,
        region=plan.region,
        runtime=f"python{plan.interpreter.version}",
        agent_python=plan.interpreter.base,
        records_file=str(records_file),
        init_type=plan.init_type.value,
    )
    return Order(
        command=command(plan, ports),
        env=environment.build(plan.environ, stage, plan.env),
        directory=str(plan.directory),
        layer=str(plan.layer) if plan.layer else None,
        run_dir=str(run_dir),
        log_fd=-1,
        freezers=CHOICES[plan.freezer],
        runtime=runtime_command(plan),
        memory_mb=plan.memory_mb if plan.limit_memory else None,
        cpu_cores=cores_of(plan.memory_mb) if plan.limit_cpu else None,
        keep_in_tmp=keep_in_tmp(plan),
    )


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
