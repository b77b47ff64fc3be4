"""What a run needs. In: nothing. Out: Plan, and the command lines that it comes to."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import afterglow_layer
from afterglow_layer.emulator import front
from afterglow_layer.emulator.settings import InitType
from afterglow_layer.local.interpreter import Interpreter
from afterglow_layer.local.ports import Ports
from afterglow_layer.local.private_tmp import TMP

PACKAGES = Path(afterglow_layer.__file__).parent.parent
LOADERS = ("managed", "wrapper")
EMULATORS = ("rie", "builtin")
BUILT_IN = "built-in emulator"


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
    rie: Path | None  # None: the built-in emulator
    layer: Path | None
    layer_name: str | None  # as the report calls it
    loader: str  # one of LOADERS
    freezer: str  # one of CHOICES
    show: Callable[[str], None] | None  # gets the function's log lines as they come
    limit_memory: bool = False  # hold the function to ``memory_mb``
    limit_cpu: bool = False  # and to the CPU that comes with it
    private_tmp: bool = False
    shm: str = "host"  # one of surroundings.SHM
    files: str = "writable"  # one of surroundings.FILES
    as_managed: bool = False  # /var/runtime, umask and the number of open files as on Lambda
    init_limit_s: float | None = None
    cold_every: int | None = None  # a new environment after so many invocations
    provisioned: bool = False  # as with provisioned concurrency: Init ahead of the first invocation

    @property
    def emulator(self) -> str:
        """What plays Lambda, by name."""
        return str(self.rie) if self.rie else BUILT_IN

    @property
    def init_type(self) -> InitType:
        """In Lambda's words."""
        return InitType.PROVISIONED if self.provisioned else InitType.ON_DEMAND


def command(plan: Plan, ports: Ports) -> list[str]:
    """Return the emulator's command line; the runtime's is to follow."""
    runtime_api, invoke = f"127.0.0.1:{ports.runtime_api}", f"127.0.0.1:{ports.invoke}"
    if plan.rie is None:
        return front.command([], front=invoke, runtime_api=runtime_api, init_type=plan.init_type)
    flags = ["--runtime-api-address", runtime_api]
    return [str(plan.rie), *flags, "--runtime-interface-emulator-address", invoke]


def runtime_command(plan: Plan) -> list[str]:
    """Return the command that runs the function."""
    python = plan.interpreter.path
    if plan.loader == "managed":
        return [python, str(Path(__file__).with_name("runtime_bootstrap.py")), plan.handler]
    wrapper = ["/opt/afterglow-exec"] if plan.layer else []
    return [*wrapper, python, "-m", "awslambdaric", plan.handler]


def keep_in_tmp(plan: Plan) -> list[str] | None:
    """Return what must stay reachable in a /tmp of the sandbox's own; None: the host's /tmp stays."""
    if not plan.private_tmp or plan.directory in (TMP, *TMP.parents):
        return None
    programs = [Path(plan.interpreter.path), Path(plan.interpreter.base), Path(sys.executable)]
    folders = [plan.directory, PACKAGES, *(program.parent.parent for program in programs)]
    _, unix, socket = plan.env.get("AFTERGLOW_COLLECTOR", "").partition("unix:")
    others = [*([plan.rie] if plan.rie else []), *([Path(socket)] if unix else [])]
    return [str(path) for path in (*folders, *programs, *others) if path.exists()]
