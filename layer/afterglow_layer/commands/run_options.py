"""The options of ``afterglow run``, in argparse's terms. In: a parser. Out: the parser, with them."""

import argparse

DEFAULT_ROUNDS = 3
"""Invocations with one event: one to start work, one for it to come back in, one to show a habit."""

LEAST_MB, MOST_MB = 128, 10_240  # Lambda developer guide, "Configure Lambda function memory"

EPILOG = """\
examples:
  afterglow run app.handler
  afterglow run app.handler --dir src --event events/order.json --repeat 5
  afterglow run app.handler --event '{"id": 1}' --event '{"id": 2}' --gap 2
  afterglow run app.handler --memory 512 --cold-every 2 --repeat 6
  afterglow run app.handler --env TABLE=orders --fail-on lingering --json run.json     (in CI)

exit status: 0 every invocation was answered · 1 one failed, or the run did · 2 wrong usage ·
3 --fail-on found something · 130 Ctrl-C. What had been seen until then is reported in each case.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add all of them, by topic."""
    _add_function_options(parser)
    _add_sandbox_options(parser)
    _add_output_options(parser)


def _add_function_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the function")
    group.add_argument("handler", metavar="HANDLER", help="as Lambda has it: module.function")
    group.add_argument("--dir", default=".", metavar="DIR", help="the function's folder (default: this one)")
    group.add_argument(
        "--event",
        action="append",
        metavar="FILE|JSON",
        help="what to invoke with; may be repeated (default: {})",
    )
    group.add_argument(
        "--repeat",
        type=_whole,
        metavar="N",
        help=f"rounds through all events (default: {DEFAULT_ROUNDS} with one event, 1 with several)",
    )
    group.add_argument(
        "--collector", metavar="WHERE", help="AFTERGLOW_COLLECTOR: http://…, unix:/…, records (default: embedded)"
    )
    group.add_argument("--env", action="append", default=[], metavar="K=V", help="set an environment variable")
    group.add_argument("--timeout", type=_whole, default=30, metavar="S", help="function timeout (default: 30)")
    group.add_argument("--memory", type=_memory, default=128, metavar="MB", help="memory size (default: 128)")
    group.add_argument("--region", help="AWS_REGION (default: the caller's, else us-east-1)")
    group.add_argument("--python", metavar="PATH", help="its interpreter (default: DIR/.venv, else this one)")
    group.add_argument(
        "--loader",
        choices=["managed", "wrapper"],
        default="managed",
        help="start it as the managed runtimes do, or through afterglow-exec (default: managed)",
    )


def _add_sandbox_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the sandbox")
    group.add_argument(
        "--gap",
        type=_seconds,
        default=0.5,
        metavar="SECONDS",
        help="frozen after each invocation (default: 0.5)",
    )
    group.add_argument(
        "--freezer",
        choices=["auto", "cgroup-v2", "cgroup-v1", "sigstop", "none"],
        default="auto",
        help="how to freeze (default: the first of these that works)",
    )
    group.add_argument(
        "--cpu",
        choices=["share", "full"],
        default="share",
        help="what comes with the memory (1,769 MB: one core), or all that there is (default: share)",
    )
    group.add_argument(
        "--tmp",
        choices=["private", "host"],
        default="private",
        help="a /tmp of its own, or this machine's (default: private)",
    )
    group.add_argument(
        "--shm",
        choices=["none", "host"],
        default="none",
        help="no /dev/shm, as on Lambda (multiprocessing's locks, queues and pools fail), or this machine's"
        " (default: none)",
    )
    group.add_argument(
        "--files",
        choices=["read-only", "writable"],
        default="read-only",
        help="all but /tmp read-only, as on Lambda, or as it is (default: read-only)",
    )
    group.add_argument(
        "--cold-every", type=_whole, metavar="N", help="a new environment, with its cold start, every N invocations"
    )
    group.add_argument(
        "--provisioned",
        action="store_true",
        help="as with provisioned concurrency: Init ahead of the first invocation (RIE cannot: --emulator builtin)",
    )
    group.add_argument(
        "--emulator",
        choices=["rie", "builtin"],
        default="rie",
        help="AWS' Runtime Interface Emulator, or Afterglow's, which has a Telemetry API (default: rie)",
    )
    group.add_argument("--rie", metavar="PATH", help="aws-lambda-rie (default: on PATH, else fetched once)")
    layer = group.add_mutually_exclusive_group()
    layer.add_argument("--layer", metavar="ZIP", help="this layer instead of Afterglow's own")
    layer.add_argument("--no-layer", action="store_true", help="run without the layer, to compare")


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("--logs", "-v", action="store_true", help="show the function's log lines as they come")
    group.add_argument("--json", metavar="FILE", help="write the run document here (- for standard output)")
    group.add_argument("--emf", metavar="FILE", help="write the EMF lines that the layer printed here")
    group.add_argument("--records", metavar="FILE", help="write every record here, a JSON object a line")
    group.add_argument(
        "--fail-on",
        choices=["lingering"],
        action="append",
        default=[],
        help="exit with 3 when there is such a finding",
    )


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _memory(text: str) -> int:
    value = _whole(text)
    if not LEAST_MB <= value <= MOST_MB:
        raise argparse.ArgumentTypeError(f"{text!r} is not from {LEAST_MB} to {MOST_MB}, as on Lambda")
    return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 3600")
    return value
