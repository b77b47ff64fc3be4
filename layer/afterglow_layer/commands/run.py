"""``afterglow run``: invoke a function on this machine with the layer attached, and report what was seen."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afterglow.records import encode
from afterglow_layer import interrupts
from afterglow_layer.commands import configuration
from afterglow_layer.commands.run_options import EPILOG, add_options
from afterglow_layer.failure import Failure

if TYPE_CHECKING:
    from afterglow_layer.local.session import Run

FAILED, LINGERS, INTERRUPTED = 1, 3, 130


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``run`` and its options."""
    parser = verbs.add_parser(
        "run",
        help="run a function here with the layer attached, and report",
        description="Run a Lambda function under AWS' Runtime Interface Emulator, frozen between invocations "
        "as Lambda does, and report what it did and what it left running.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(act=act)
    add_options(parser)
    configuration.adopt(parser, "run")


def act(asked: argparse.Namespace) -> int:
    """Run, report, and return the exit status."""
    from afterglow_collector.document import build_document  # noqa: PLC0415 - heavy: when the verb runs
    from afterglow_layer.local import planning, session  # noqa: PLC0415

    with interrupts.in_order():
        plan = planning.make_plan(asked)
        done = session.run(plan)
    document = build_document(done.records, done.facts)
    _write(asked, done, document)
    _report(asked, plan.directory, document)
    for line in done.agent:
        if not line.startswith("{"):  # findings and records are in the report
            print(line, file=sys.stderr)
    return exit_status(done, document, asked.fail_on)


def _write(asked: argparse.Namespace, done: "Run", document: dict[str, Any]) -> None:
    if asked.emf:
        _write_text("--emf", asked.emf, "".join(f"{line}\n" for line in done.emf))
    if asked.records:
        _write_text("--records", asked.records, "".join(f"{encode(record)}\n" for record in done.records))
    if asked.json:
        _write_text("--json", asked.json, json.dumps(document, indent=2) + "\n")


def _write_text(option: str, path: str, text: str) -> None:
    if path == "-":
        sys.stdout.write(text)
        return
    try:
        Path(path).write_text(text)
    except OSError as error:
        raise Failure(f"{option} {path} could not be written: {error.strerror}") from None


def _report(asked: argparse.Namespace, directory: Path, document: dict[str, Any]) -> None:
    from rich.console import Console  # noqa: PLC0415 - as above

    from afterglow_collector.report import render  # noqa: PLC0415 - as above

    # Standard output is the document's if it was asked for there.
    console = Console(stderr="-" in (asked.json, asked.emf), highlight=False)
    render(document, console, directory)


def exit_status(done: "Run", document: dict[str, Any], fail_on: list[str]) -> int:
    """Return the exit status: Ctrl-C, then failures, then findings, which a failure may have cut short."""
    if done.interrupted:
        return INTERRUPTED
    failed = done.facts.problem is not None or any(call.outcome != "ok" for call in done.facts.calls)
    if failed:
        return FAILED
    found = {finding["kind"] for finding in document["findings"]}
    return LINGERS if found & set(fail_on) else 0
