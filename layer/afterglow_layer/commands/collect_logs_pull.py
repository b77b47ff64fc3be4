"""The steps of ``afterglow collect --from logs`` that talk to AWS and to the disk.

In: what the options say. Out: the document of afterglow_collector.logs.document, or a Failure in plain words.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from afterglow_collector.logs.cursor import Cursor, Progress, PullCursorError, read_cursor, write_cursor
from afterglow_collector.logs.document import Setting, build_document
from afterglow_collector.logs.fetch import architectures, expand_groups
from afterglow_collector.logs.pull import Slice, Stretch, all_figures, plan_slices, pull
from afterglow_collector.prices.refresh import fetch_table
from afterglow_collector.prices.table import PriceError, Prices, parse_prices, read_prices
from afterglow_collector.sinks.aws import STALE_CREDENTIALS, code_of, region_of
from afterglow_collector.words import counted
from afterglow_layer.commands.collect_logs_progress import counting
from afterglow_layer.failure import Failure, usage

PRICING_REGION = "us-east-1"  # GetProducts answers there, for all regions
TRIES = 8
"""FilterLogEvents allows 5 to 10 calls a second in an account: to be throttled is the normal case."""


class Clients:
    """Clients of one profile and region, by boto3's own chain where an option is not given."""

    def __init__(self, profile: str | None, region: str | None, endpoint_url: str | None) -> None:
        self.profile = profile
        self.region = region or region_of(os.environ)
        self.endpoint_url = endpoint_url

    def client(self, service: str, region: str | None = None) -> Any:
        """Return a client that tries again when it is throttled."""
        session = boto3.Session(profile_name=self.profile, region_name=self.region)
        tries = {} if "AWS_MAX_ATTEMPTS" in os.environ else {"total_max_attempts": TRIES}
        config = Config(retries={"mode": "standard", **tries})
        return session.client(service, region_name=region, endpoint_url=self.endpoint_url, config=config)

    def region_name(self) -> str:
        """Return the region that is asked."""
        return str(self.client("logs").meta.region_name)


class Kept(NamedTuple):
    """The cursor file, and what was in it; None where there is none."""

    path: Path | None
    cursor: Cursor | None


@contextmanager
def plain_failures() -> Iterator[None]:
    """Turn what AWS, the network and the disk may say into words and an exit status."""
    try:
        yield
    except ClientError as error:
        code = code_of(error)
        advice = "; sign in again" if code in STALE_CREDENTIALS and "Denied" not in code else ""
        raise Failure(f"AWS says {error}{advice}") from None
    except BotoCoreError as error:
        raise Failure(f"AWS cannot be asked: {error}") from None
    except (PullCursorError, PriceError) as error:
        raise usage(str(error)) from None
    except OSError as error:
        raise Failure(f"{error.filename}: {error.strerror}") from None


def read(path: Path | None) -> Cursor | None:
    """Return the cursor, if there is one to go on from."""
    return None if path is None else read_cursor(path)


def prices(clients: Clients, path: Path | None, *, refresh: bool) -> Prices:
    """Return the prices to value by: AWS' of today, those of a file, or the packaged ones."""
    if not refresh:
        return read_prices(path)
    today = datetime.now(timezone.utc).date().isoformat()
    text = fetch_table(clients.client("pricing", PRICING_REGION), clients.region_name(), today)
    if path is not None:
        path.write_text(text, encoding="utf-8")
    return parse_prices(text)


def pull_document(
    clients: Clients, asked: Sequence[str], stretch: Stretch, kept: Kept, valued: Prices
) -> dict[str, Any]:
    """Read what is left of the groups, keep the cursor, and return the document."""
    client = clients.client("logs")
    groups = expand_groups(client, asked)
    cursor = kept.cursor or Cursor(stretch.from_ms, {})
    for group in groups:
        cursor.groups.setdefault(group, Progress(stretch.from_ms, {}))
    slices = [piece for group in groups for piece in plan_slices(group, stretch, cursor.groups[group].done_to_ms)]

    def save() -> None:
        if kept.path is not None:
            write_cursor(kept.path, cursor)

    with counting(f"reading {counted(len(groups), 'log group')}", len(slices)) as step:
        found = set(groups) - set(asked)  # by a star: who names a group wants to know if it is not there
        unsettled = pull(client, slices, cursor.groups, save, lambda piece, _: step(_short(piece)), may_go=found)
    figures = all_figures([*(cursor.groups[group].functions for group in groups), unsettled])
    setting = Setting(groups, stretch.from_ms, stretch.to_ms, valued, _architectures(clients))
    return build_document(figures, setting)


def _short(piece: Slice) -> str:
    return piece.group.removeprefix("/aws/lambda/")


def _architectures(clients: Clients) -> dict[str, str]:
    """Return what Lambda says, or nothing where it may not be asked: then x86_64 is assumed, and marked."""
    try:
        return architectures(clients.client("lambda"))
    except (ClientError, BotoCoreError) as error:
        print(f"afterglow: architectures are not known: {error}", file=sys.stderr)
        return {}
