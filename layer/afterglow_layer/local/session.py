"""One local run from the first start to the last shutdown.

In: a Plan. Out: a Run: records, facts, EMF lines.
"""

import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from afterglow.records import Record, RecordError, decode
from afterglow_collector.facts import RunFacts
from afterglow_layer.failure import Failure
from afterglow_layer.local import environment
from afterglow_layer.local.calls import Calls
from afterglow_layer.local.freezer import CHOICES
from afterglow_layer.local.inside import Order
from afterglow_layer.local.logs import Logs
from afterglow_layer.local.plan import Plan, command
from afterglow_layer.local.sandbox import Ports, Sandbox, SandboxEnded, free_ports

PORT_TRIES = 5


class Run(NamedTuple):
    """What came of it."""

    records: list[Record]
    facts: RunFacts
    emf: list[str]
    agent: list[str]  # what the extension and the hook printed besides EMF
    interrupted: bool


def run(plan: Plan) -> Run:
    """Start the function, invoke it with every event, shut it down; Ctrl-C ends it early, in that order."""
    started_at_ms = time.time() * 1000
    run_dir = Path(tempfile.mkdtemp(prefix="afterglow-run-"))
    records_file = run_dir / "records.ndjson"
    try:
        sandbox, logs = start(plan, run_dir, records_file)
    except BaseException:
        shutil.rmtree(run_dir, ignore_errors=True)
        raise
    session = Calls(plan, sandbox, logs)
    try:
        interrupted = session.drive()
        records, complaint = read_records(records_file)
    finally:
        sandbox.close()
    logs.finish()
    facts = _facts(plan, session, started_at_ms, session.problem or complaint)
    return Run(records, facts, logs.emf, list(logs.agent), interrupted)


def start(plan: Plan, run_dir: Path, records_file: Path) -> tuple[Sandbox, Logs]:
    """Return a sandbox that listens, and its logs; the caller closes it, which removes ``run_dir``."""
    for _ in range(PORT_TRIES):
        run_dir.mkdir(exist_ok=True)  # A sandbox that has ended has taken it along.
        ports = free_ports()
        sandbox = Sandbox(_order(plan, ports, run_dir, records_file), ports, plan.freezer)
        logs = Logs(plan.show)
        logs.follow(sandbox.stdout, sandbox.stderr)
        try:
            sandbox.wait_until_up()
        except SandboxEnded:
            sandbox.close()
            logs.finish()
            if not any("address already in use" in line for line in logs.rie):
                raise Failure(f"{plan.rie} ended before it took a call:\n{logs.last_of_rie()}") from None
        except BaseException:
            sandbox.close()
            raise
        else:
            return sandbox, logs
    raise Failure(f"{PORT_TRIES} times, the ports that were free had been taken when RIE wanted them; try again")


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
    )
    return Order(
        command=command(plan, ports),
        env=environment.build(plan.environ, stage, plan.env),
        directory=str(plan.directory),
        layer=str(plan.layer) if plan.layer else None,
        run_dir=str(run_dir),
        log_fd=-1,
        freezers=CHOICES[plan.freezer],
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


def _facts(plan: Plan, session: Calls, started_at_ms: float, problem: str | None) -> RunFacts:
    return RunFacts(
        handler=plan.handler,
        directory=str(plan.directory),
        python=f"{plan.interpreter.path} ({plan.interpreter.version})",
        memory_mb=plan.memory_mb,
        timeout_s=plan.timeout_s,
        loader=plan.loader,
        freezer=session.freezer.name,
        rie=str(plan.rie),
        layer=plan.layer_name,
        started_at_ms=started_at_ms,
        calls=session.made,
        logs=list(session.logs.function),
        problem=problem,
        frozen_after_ms=session.frozen_after_ms,
    )
