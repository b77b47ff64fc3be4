"""``afterglow collect --from logs``: what the functions' own logs say of cold starts, duration, memory and cost.

In: ``add_logs_options(parser)`` adds the options, all but ``--from`` itself; ``collect_from_logs(asked)`` acts on
them. Out: tables or JSON on standard output, progress on standard error, and an exit status: 0 it is read, 1 AWS or
the disk said no, 2 wrong usage, 130 Ctrl-C (with ``--cursor``, the next call goes on from there).
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from afterglow_layer.failure import usage

DEFAULT_GROUPS = ["/aws/lambda/*"]

EXAMPLES = """\
examples:
  afterglow collect --from logs                                all functions of the region, the last 24 hours
  afterglow collect --from logs '/aws/lambda/shop-*' --since 7d
  afterglow collect --from logs /aws/lambda/checkout --output json > checkout.json
  afterglow collect --from logs --since 2w --cursor pull.json  may be interrupted, and goes on when called again
"""


LOGS_ALONE = frozenset(("since", "until", "cursor", "output", "prices", "refresh_prices"))
"""Options that mean nothing to the service."""


def add_logs_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``--from logs``."""
    group = parser.add_argument_group("--from logs")
    group.add_argument(
        "groups", nargs="*", metavar="GROUP", help="log groups; NAME* is all that begin so (default: all)"
    )
    group.add_argument("--since", metavar="TIME", help="30m, 24h, 7d, 2w, or 2026-11-21T08:00Z (default: 24h)")
    group.add_argument("--until", metavar="TIME", help="the same (default: now)")
    group.add_argument("--cursor", type=Path, metavar="FILE", help="keep what is read here; go on from it")
    group.add_argument("--output", choices=["table", "json"], default="table", help="default: table")
    group.add_argument("--prices", type=Path, metavar="FILE", help="a price table (default: the packaged one)")
    group.add_argument(
        "--refresh-prices", action="store_true", help="ask AWS for today's prices; with --prices, keep them there"
    )


def collect_from_logs(asked: argparse.Namespace) -> int:
    """Read, add up, and print."""
    try:
        from afterglow_layer.commands import collect_logs_pull as steps  # noqa: PLC0415 - boto3: 160 ms
        from afterglow_layer.commands.collect_logs_time import stretch_of  # noqa: PLC0415 - as above
    except ImportError as error:
        raise usage(f"--from logs needs {error.name}: pip install 'afterglow[aws,local]'") from None

    clients = steps.Clients(asked.profile, asked.region, asked.endpoint_url)
    with steps.plain_failures():
        cursor = steps.read(asked.cursor)
        stretch = stretch_of(asked.since, asked.until, cursor and cursor.from_ms, time.time_ns() // 1_000_000)
        kept = steps.Kept(asked.cursor, cursor)
        prices = steps.prices(clients, asked.prices, refresh=asked.refresh_prices)
        document = steps.pull_document(clients, asked.groups or DEFAULT_GROUPS, stretch, kept, prices)
    _show(document, asked.output)
    return 0


def _show(document: dict[str, Any], output: str) -> None:
    if output == "json":
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    from rich.console import Console  # noqa: PLC0415 - when tables are asked for

    from afterglow_collector.logs.tables import render  # noqa: PLC0415 - as above

    render(document, Console(highlight=False))
