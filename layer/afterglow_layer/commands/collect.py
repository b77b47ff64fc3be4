"""``afterglow collect``: take records from all environments, add them up, hand them on as EMF."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from afterglow_collector.collect.options import (  # light: no third party
    TABLE,
    TOKENS_VARIABLE,
    Option,
    OptionError,
    Options,
    flag_of,
    resolve,
)
from afterglow_layer.commands import configuration
from afterglow_layer.commands.aws_options import add_aws_options, aws_environment
from afterglow_layer.commands.collect_logs import EXAMPLES, LOGS_ALONE, add_logs_options, collect_from_logs
from afterglow_layer.failure import Failure, usage

KINDS = ("stdout", "file:", "cloudwatch-logs:", "cloudwatch-agent:", "xray:", "otlp:")
"""How a --sink begins, for completion; a test holds it to afterglow_collector.sinks.spec."""

EPILOG = f"""\
{EXAMPLES}
  afterglow collect                                             http://127.0.0.1:9477, EMF on standard output
  afterglow collect --sink cloudwatch-logs:/afterglow/metrics --sink file:/var/log/afterglow.ndjson
  afterglow collect --listen 0.0.0.0:9477 --token-file tokens.txt --tls-cert server.pem
  afterglow collect --listen unix:/run/afterglow.sock --config collect.toml

Each option can also be set in the environment (--grace-s is AFTERGLOW_COLLECT_GRACE_S) or in the TOML file's table
[collect] (grace-s = 30). A flag wins over the environment, the environment over the file. Bearer tokens come from
--token-file or AFTERGLOW_COLLECT_TOKENS. SIGHUP reads tokens and certificate again, SIGTERM stops in order.

exit status: 0 stopped in order, or read · 1 it could not start, or go on · 2 wrong usage · 130 Ctrl-C in --from logs
"""


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add ``collect`` and its options."""
    parser = verbs.add_parser(
        "collect",
        help="take records from all environments, and hand them on as metrics",
        description="Take batches of records over HTTP, make them durable, add them up by minute and series, "
        "and hand the result to sinks as CloudWatch embedded metric format. docs/collector.md tells the rest.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--from",
        choices=["http", "logs"],
        default="http",
        dest="source",
        help="logs: read the functions' log groups instead, and show what they tell (default: http)",
    )
    groups: dict[str, Any] = {}
    for name, option in TABLE.items():
        if option.topic not in groups:
            groups[option.topic] = parser.add_argument_group(option.topic)
        how: dict[str, Any] = {"action": "append"} if option.many else {}
        if option.switch:
            how = {"action": "store_const", "const": "on"}
        else:
            how["metavar"] = name.rpartition("_")[2].upper() if "_" in name else name.upper()
        default = _shown(getattr(Options(), name))
        action = groups[option.topic].add_argument(flag_of(name), help=f"{option.meaning}{default}", **how)
        action.completer = _completer(name, option)
    add_aws_options(parser)
    add_logs_options(parser)
    configuration.adopt(parser, "collect", elsewhere=TABLE, variables=[TOKENS_VARIABLE])
    parser.set_defaults(act=act)


def _completer(name: str, option: Option) -> Callable[..., list[str]] | None:
    """Return what argcomplete asks for the words that may come; None: file names."""
    words = option.allowed.split(" or ")
    if name == "sink":
        return lambda **_: list(KINDS)
    return (lambda **_: words) if len(words) > 1 and all(word.isalpha() for word in words) else None


def _shown(default: Any) -> str:
    """Return a default as the help shows it; nothing where words would say no more."""
    if isinstance(default, str | int | Path) and not isinstance(default, bool):
        return f" (default: {default})"
    return f" (default: {' '.join(default)})" if default == ("stdout",) else ""


def act(asked: argparse.Namespace) -> int:
    """Run the service until it is told to stop; or read logs."""
    if asked.source == "logs":
        for name in sorted(asked.given & TABLE.keys()):
            raise usage(f"{flag_of(name)} is the service's; it does not go with --from logs")
        return collect_from_logs(asked)
    if asked.groups:
        raise usage(f"{asked.groups[0]!r} is too much; log groups go with --from logs")
    for name in sorted(asked.given & LOGS_ALONE):
        raise usage(f"{flag_of(name)} goes with --from logs")
    os.environ.update(aws_environment(asked))
    try:
        file = {key: said for key, said in asked.settings.items() if key.replace("-", "_") in TABLE}
        options = resolve(vars(asked), os.environ, file)
    except OptionError as error:
        raise usage(str(error)) from None
    try:
        from afterglow_collector.collect import server  # noqa: PLC0415 - heavy: when the verb runs
        from afterglow_collector.collect.assembly import StartError  # noqa: PLC0415
        from afterglow_collector.collect.listening import ListenError  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("afterglow"):
            raise
        raise Failure(f"{error.name} is not installed; pip install 'afterglow[collector]'") from None
    try:
        return server.run(options)
    except (StartError, ListenError) as error:
        raise (usage if error.usage else Failure)(str(error)) from None
