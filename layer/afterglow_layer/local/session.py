"""One local run from the first start to the last shutdown.

In: a Plan. Out: a Run: records, facts, EMF lines.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from afterglow.records import Record, RecordError, decode
from afterglow_collector.facts import Call, RunFacts
from afterglow_layer.failure import Failure
from afterglow_layer.local import environment, keeper
from afterglow_layer.local.cgroups import FreezeError
from afterglow_layer.local.freezer import CHOICES, NoFreezer
from afterglow_layer.local.interpreter import Interpreter
from afterglow_layer.local.invoke import invoke, judge
from afterglow_layer.local.logs import Logs
from afterglow_layer.local.sandbox import Ports, Sandbox, SandboxEnded, free_ports

PORT_TRIES = 5
PATIENCE_S = 15.0  # Past the function's timeout: RIE takes up to 2 s for a shutdown, a slow machine more.
START_LINE_LIMIT_S = 0.5
ANSWER_KEPT = 2000

LOADERS = ("managed", "wrapper")


class Plan(NamedTuple):
    """All that a run needs, found and checked."""

    handler: str
    directory: Path
    events: list[bytes]  # one invocation each
    gap_s: float
    timeout_s: int
    memory_mb: int
    region: str
    environ: Mapping[str, str]  # the caller's
    env: Mapping[str, str]  # what was asked for on top
    interpreter: Interpreter
    rie: Path
    layer: Path | None
    layer_name: str | None  # as the report calls it
    loader: str  # one of LOADERS
    freezer: str  # one of CHOICES
    show: Callable[[str], None] | None  # gets the function's log lines as they come


class Run(NamedTuple):
    """What came of it."""

    records: list[Record]
    facts: RunFacts
    emf: list[str]
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
    session = _Session(plan, sandbox, logs)
    try:
        interrupted = session.drive()
        records, complaint = read_records(records_file)
    finally:
        sandbox.close()
    logs.finish()
    facts = _facts(plan, session, started_at_ms, session.problem or complaint)
    return Run(records, facts, logs.emf, interrupted)


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
                raise Failure(f"{plan.rie} ended before it took a call:\n{_last(logs)}") from None
        except BaseException:
            sandbox.close()
            raise
        else:
            return sandbox, logs
    raise Failure(f"{PORT_TRIES} times, the ports that were free had been taken when RIE wanted them; try again")


def _order(plan: Plan, ports: Ports, run_dir: Path, records_file: Path) -> keeper.Order:
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
    return keeper.Order(
        command=command(plan, ports),
        env=environment.build(plan.environ, stage, plan.env),
        directory=str(plan.directory),
        layer=str(plan.layer) if plan.layer else None,
        run_dir=str(run_dir),
        log_fd=-1,
        freezers=CHOICES[plan.freezer],
    )


def command(plan: Plan, ports: Ports) -> list[str]:
    """Return RIE's command line: its flags, then the runtime's command."""
    flags = ["--runtime-api-address", f"127.0.0.1:{ports.runtime_api}"]
    flags += ["--runtime-interface-emulator-address", f"127.0.0.1:{ports.invoke}"]
    python = plan.interpreter.path
    if plan.loader == "managed":
        return [
            str(plan.rie),
            *flags,
            python,
            str(Path(__file__).with_name("runtime_bootstrap.py")),
            plan.handler,
        ]
    wrapper = ["/opt/afterglow-exec"] if plan.layer else []
    return [str(plan.rie), *flags, *wrapper, python, "-m", "awslambdaric", plan.handler]


class _Session:
    """The calls of one run, and what went wrong on the way."""

    def __init__(self, plan: Plan, sandbox: Sandbox, logs: Logs) -> None:
        self.plan = plan
        self.calls: list[Call] = []
        self.problem: str | None = None
        self.logs = logs
        self.freezer = sandbox.freezer
        self._sandbox = sandbox
        self._frozen_ms = 0.0
        self.frozen_after_ms: float | None = None

    def drive(self) -> bool:
        """Make every call, freeze after each, then let RIE shut down; tell whether Ctrl-C cut it short."""
        interrupted = False
        try:
            for number, event in enumerate(self.plan.events, start=1):
                self.calls.append(self._call(number, event))
                if self._over():
                    break
                self._hold_frozen()
        except KeyboardInterrupt:
            interrupted = True
        self._sandbox.stop()
        return interrupted

    def _call(self, number: int, event: bytes) -> Call:
        self.frozen_after_ms = None
        starts = self.logs.starts()
        sent_at_ms = time.time() * 1000
        answer = invoke(self._sandbox.invoke_port, event, self.plan.timeout_s + PATIENCE_S)
        request_id = self.logs.request_id_after(starts, START_LINE_LIMIT_S)
        outcome, error_type = judge(answer, request_id)
        return Call(
            index=number,
            request_id=request_id,
            sent_at_ms=sent_at_ms,
            took_ms=answer.took_ms,
            http_status=answer.http_status,
            outcome=outcome,
            error_type=error_type,
            answer=answer.body.decode(errors="replace")[:ANSWER_KEPT],
            frozen_before_ms=self._frozen_ms,
        )

    def _over(self) -> bool:
        if self.calls[-1].outcome == "no-answer":
            # The connection breaks a moment before the process is known to be gone.
            state = "ended" if self._sandbox.ends_within(1.0) else "gave no answer"
            self.problem = f"RIE {state} in invocation {len(self.calls)}:\n{_last(self.logs)}"
        return self.problem is not None

    def _hold_frozen(self) -> None:
        """Freeze at once, stay so for the gap, thaw: the next request, or SHUTDOWN, follows at once."""
        begin = time.monotonic()
        try:
            self.freezer.freeze()
            begin = time.monotonic()
            time.sleep(self.plan.gap_s)
        except FreezeError as error:
            self.problem = f"not frozen after invocation {len(self.calls)}, nor after any later one: {error}"
            self.freezer = NoFreezer()
        finally:
            self.freezer.thaw()
        is_still = self.freezer.name != NoFreezer.name
        self._frozen_ms = (time.monotonic() - begin) * 1000 if is_still else 0.0
        self.frozen_after_ms = self._frozen_ms


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


def _facts(plan: Plan, session: _Session, started_at_ms: float, problem: str | None) -> RunFacts:
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
        calls=session.calls,
        logs=list(session.logs.function),
        problem=problem,
        frozen_after_ms=session.frozen_after_ms,
    )


def _last(logs: Logs, lines: int = 5) -> str:
    return "\n".join(list(logs.rie)[-lines:]) or "(it printed nothing)"
