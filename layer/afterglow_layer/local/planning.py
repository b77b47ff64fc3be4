"""From the command line to a plan.

In: parsed arguments and the caller's environment. Out: a Plan.

Everything is found and checked before anything starts; what costs least goes first, downloads go last.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from afterglow_layer import archive, inspection
from afterglow_layer.commands.run_options import DEFAULT_ROUNDS
from afterglow_layer.failure import Failure, usage
from afterglow_layer.local import environment, events, interpreter
from afterglow_layer.local.allotment import INIT_LIMIT_S
from afterglow_layer.local.plan import Plan
from afterglow_layer.rie import find_rie, host_arch


def make_plan(asked: argparse.Namespace) -> Plan:
    """Return all that the run needs; Failure for what is wrong with it."""
    if asked.rie and asked.emulator == "builtin":
        raise usage("--rie and --emulator builtin: one or the other")
    if find_spec("rich") is None:
        raise Failure("the local run needs more than the sandbox does: pip install 'afterglow[local]'")
    directory = Path(asked.dir).resolve()
    for option, text in {"--dir": directory, "HANDLER": asked.handler, "--python": asked.python}.items():
        check_text(option, str(text))
    check_handler(asked.handler, directory)
    env = environment.parse_pairs(asked.env)
    if asked.collector:
        env = {"AFTERGLOW_COLLECTOR": asked.collector, **env}
    bodies = [events.read_event(event) for event in asked.event or ["{}"]]
    for option in ("json", "emf"):
        _check_writable(option, getattr(asked, option))
    python = interpreter.find_interpreter(asked.python, directory, environment.cleaned(os.environ))
    rie = find_rie(asked.rie) if asked.emulator == "rie" else None
    layer, layer_name = _find_layer(asked, python)
    return Plan(
        handler=asked.handler,
        directory=directory,
        events=bodies * (asked.repeat or (DEFAULT_ROUNDS if len(bodies) == 1 else 1)),
        gap_s=asked.gap,
        timeout_s=asked.timeout,
        memory_mb=asked.memory,
        region=asked.region or region_of(os.environ),
        environ=os.environ,
        env=env,
        interpreter=python,
        rie=rie,
        layer=layer,
        layer_name=layer_name,
        loader=asked.loader,
        freezer=asked.freezer,
        show=_show_line if asked.logs else None,
        limit_memory=True,
        limit_cpu=asked.cpu == "share",
        private_tmp=asked.tmp == "private",
        shm=asked.shm,
        files=asked.files,
        as_managed=True,
        init_limit_s=INIT_LIMIT_S,
        cold_every=asked.cold_every,
        provisioned=asked.provisioned,
    )


def check_text(option: str, text: str) -> None:
    """Refuse what is no UTF-8: neither the function's environment on Lambda nor the records could hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise usage(f"{option} {text!r}: not UTF-8, as every name in a Lambda function is") from None


def check_handler(handler: str, directory: Path) -> None:
    """Refuse what cannot be a handler's name; whether it imports, the runtime will say."""
    if not directory.is_dir():
        raise usage(f"--dir {directory}: no such folder")
    module, dot, function = handler.rpartition(".")
    if not dot or not module or not function.isidentifier():
        raise usage(f"{handler!r} is no handler's name: write module.function, as in app.handler")
    if function == "py":
        raise usage(f"{handler!r} is a file: name the function in it, as in {Path(handler).stem}.handler")


def region_of(environ: Mapping[str, str]) -> str:
    """Return the region that the caller works in."""
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _check_writable(option: str, path: str | None) -> None:
    if path and path != "-" and not Path(path).resolve().parent.is_dir():
        raise usage(f"--{option} {path}: its folder does not exist")


def _find_layer(asked: argparse.Namespace, python: interpreter.Interpreter) -> tuple[Path | None, str | None]:
    if asked.no_layer:
        return None, None
    if not asked.layer:
        return archive.unpacked_layer(host_arch(), python), "built from this installation"
    complaints = inspection.wrong(archive.read_zip(Path(asked.layer)))
    if complaints:
        raise Failure(f"{asked.layer} would break the function:\n" + "\n".join(f"  {line}" for line in complaints))
    return archive.unpacked_zip(Path(asked.layer)), asked.layer


def _show_line(line: str) -> None:
    dim, plain = ("\x1b[2m", "\x1b[0m") if sys.stderr.isatty() else ("", "")
    print(f"{dim}{line}{plain}", file=sys.stderr, flush=True)
