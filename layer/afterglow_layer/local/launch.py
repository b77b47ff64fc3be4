"""Brings up one sandbox for a plan.

In: a Plan. Out: a Sandbox that listens, and its Logs; tried again where another program was faster at a port.
"""

import re
from pathlib import Path

from afterglow_layer.failure import Failure
from afterglow_layer.local import environment
from afterglow_layer.local.allotment import PROVISIONED_INIT_LIMIT_S, cores_of
from afterglow_layer.local.freezer import CHOICES
from afterglow_layer.local.logs import Logs
from afterglow_layer.local.order import Order
from afterglow_layer.local.plan import Plan, command, keep_in_tmp, runtime_command
from afterglow_layer.local.ports import Ports, free_ports
from afterglow_layer.local.sandbox import START_LIMIT_S, Sandbox, SandboxEnded

PORT_TRIES = 5

_NO_URL = re.compile(r"[%#\x00-\x1f\x7f]")


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


def start_in(plan: Plan) -> str | None:
    """Return where else the emulator must start: RIE makes a URL of its folder's path, and fails where it is none."""
    return "/" if plan.rie and _NO_URL.search(str(plan.directory)) else None


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
        python_folder=str(Path(plan.interpreter.path).parent),
    )
    return Order(
        command=command(plan, ports),
        env=environment.build(plan.environ, stage, plan.env),
        directory=str(plan.directory),
        layer=str(plan.layer) if plan.layer else None,
        run_dir=str(run_dir),
        log_fd=-1,
        start_in=start_in(plan),
        freezers=CHOICES[plan.freezer],
        runtime=runtime_command(plan),
        memory_mb=plan.memory_mb if plan.limit_memory else None,
        cpu_cores=cores_of(plan.memory_mb) if plan.limit_cpu else None,
        keep_in_tmp=keep_in_tmp(plan),
        shm=plan.shm,
        files=plan.files,
        as_managed=plan.as_managed,
    )
