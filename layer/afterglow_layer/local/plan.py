"""What a run needs. In: nothing. Out: Plan, and the command line that it comes to."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from afterglow_layer.local.interpreter import Interpreter
from afterglow_layer.local.sandbox import Ports

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
