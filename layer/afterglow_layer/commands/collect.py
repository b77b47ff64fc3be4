"""``afterglow collect``: take records from all environments, add them up, hand them on as EMF."""

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afterglow_collector.collect.options import TABLE, OptionError, Options, flag_of, resolve  # light: no third party
from afterglow_layer.commands.collect_logs import EXAMPLES, add_logs_options, collect_from_logs
from afterglow_layer.failure import Failure, usage

EPILOG = f"""\
{EXAMPLES}
  afterglow collect                                             http://127.0.0.1:9477, EMF on standard output
  afterglow collect --sink cloudwatch-logs:/afterglow/metrics --sink file:/var/log/afterglow.ndjson
  afterglow collect --listen 0.0.0.0:9477 --token-file tokens.txt --tls-cert server.pem
  afterglow collect --listen unix:/run/afterglow.sock --config collect.toml

Each option can also be set in the environment (--grace-s is AFTERGLOW_COLLECT_GRACE_S) or in the TOML file
(grace-s = 30). A flag wins over the environment, the environment over the file. Bearer tokens come from
--token-file or AFTERGLOW_COLLECT_TOKENS. SIGHUP reads tokens and certificate again, SIGTERM stops in order.

exit status: 0 stopped in order · 1 it could not start, or go on · 2 wrong usage
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
    parser.add_argument("--config", type=Path, metavar="FILE", help="a TOML file with any of the settings below")
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
        groups[option.topic].add_argument(flag_of(name), help=f"{option.meaning}{default}", **how)
    add_logs_options(parser)
    parser.set_defaults(act=act)


def _shown(default: Any) -> str:
    """Return a default as the help shows it; nothing where words would say no more."""
    if isinstance(default, str | int | Path) and not isinstance(default, bool):
        return f" (default: {default})"
    return f" (default: {' '.join(default)})" if default == ("stdout",) else ""


def act(asked: argparse.Namespace) -> int:
    """Run the service until it is told to stop; or read logs."""
    if asked.source == "logs":
        return collect_from_logs(asked)
    if asked.groups:
        raise usage(f"{asked.groups[0]!r} is too much; log groups go with --from logs")
    try:
        options = resolve(vars(asked), os.environ, _read_config(asked.config))
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
        raise Failure(str(error)) from None


def _read_config(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - when there is a file to read
    else:
        import tomli as tomllib  # noqa: PLC0415 - the same, before it was in the standard library
    try:
        settings: dict[str, Any] = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise usage(f"--config {path}: {getattr(error, 'strerror', None) or error}") from None
    except tomllib.TOMLDecodeError as error:
        raise usage(f"--config {path}: not TOML: {error}") from None
    return settings
