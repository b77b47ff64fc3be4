"""The ``afterglow`` command. In: its arguments. Out: an exit status.

0 it worked · 1 it did not · 2 wrong usage · 3 ``--fail-on`` found something · 130 Ctrl-C or SIGTERM.
Each verb's module is imported when its turn comes; ``--help`` costs argparse alone. docs/cli.md is the user's side.
"""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from afterglow.version import __version__
from afterglow_layer import interrupts
from afterglow_layer.commands import collect, completion, configuration, layer, run
from afterglow_layer.failure import Failure

INTERRUPTED = 130

CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""A full disk, a file that may not grow, a terminal that is gone."""

EPILOG = """\
examples:
  afterglow run app.handler                        three invocations of app.handler in this folder
  afterglow run app.handler --event event.json     the same with an event of your own
  afterglow layer build                            dist/afterglow-layer-x86_64.zip and -arm64.zip
  afterglow collect                                take records over HTTP, hand them on as metrics
  source <(afterglow completion bash)              complete this command with the tab key

options of a command come from flags, else from the environment (--memory of run is AFTERGLOW_RUN_MEMORY), else from
the TOML file that --config or AFTERGLOW_CONFIG names (memory = 512 in its table [run])

exit status: 0 it worked · 1 it did not · 2 wrong usage · 3 --fail-on found something · 130 Ctrl-C or SIGTERM
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; each verb adds its own."""
    parser = argparse.ArgumentParser(
        prog="afterglow",
        description="See what a Lambda function does, and what goes on after its handler has returned.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"afterglow {__version__}")
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    run.add_to(verbs)
    layer.add_to(verbs)
    collect.add_to(verbs)
    completion.add_to(verbs)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that ``arguments`` ask for and return its exit status."""
    try:
        status = _run(arguments)
        _flush()
    except Failure as failure:
        print(f"afterglow: {failure}", file=sys.stderr)
        return failure.status
    except KeyboardInterrupt:
        print("afterglow: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough; keep the interpreter from flushing into the void again.
        sys.stderr.close()
        return 1
    except OSError as error:
        if error.errno not in CANNOT_WRITE:
            raise
        _let_go_of_stdout()
        print(f"afterglow: something could not be written: {error.strerror}", file=sys.stderr)
        return 1
    return status


def _run(arguments: Sequence[str] | None) -> int:
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:
        completion.answer_shell(parser)
    try:
        asked = parser.parse_args(arguments)
    except SystemExit:
        _flush()  # --help, too, can meet a full disk
        raise
    configuration.complete(asked, parser, arguments, os.environ)
    if asked.act is not run.act:  # which has imports of its own to go through first
        interrupts.raise_again()
    status: int = asked.act(asked)
    return status


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _let_go_of_stdout() -> None:
    """Keep the interpreter from writing there once more as it ends, which would be a second complaint."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
