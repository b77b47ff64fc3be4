"""A dated price list. In: a JSON file such as us-east-1.json beside this module. Out: Prices, in Decimal dollars.

No price list can be had without a network, so one comes with the package; it says of which day it is, and what
shows a cost shows that day with it.
"""

import json
from decimal import Decimal, InvalidOperation
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

TABLE_VERSION = 1
ARCHITECTURES = ("x86_64", "arm64")


class Tier(NamedTuple):
    """The price of one unit, up to an amount per month (None: without end)."""

    up_to: Decimal | None
    price: Decimal


class LambdaPrices(NamedTuple):
    """Lambda's price list; by architecture where there are two."""

    requests: Decimal  # each
    gb_second: dict[str, tuple[Tier, ...]]
    ephemeral_gb_second: Decimal  # of /tmp beyond 512 MB
    provisioned_idle_gb_second: dict[str, Decimal]
    provisioned_gb_second: dict[str, Decimal]
    free_requests: Decimal  # a month
    free_gb_seconds: Decimal  # a month


class CloudWatchPrices(NamedTuple):
    """CloudWatch's."""

    metric_month: tuple[Tier, ...]
    lambda_logs_gb: tuple[Tier, ...]  # what functions write, tiered since May 2025
    logs_gb: Decimal  # what others write, through PutLogEvents
    dashboard_month: Decimal
    alarm_month: Decimal
    high_resolution_alarm_month: Decimal
    composite_alarm_month: Decimal
    api_request: Decimal


class FleetPrices(NamedTuple):
    """Of a stream and an engine for a fleet."""

    shard_month: Decimal
    put_unit: Decimal  # 25 KB
    kpu_hour: Decimal
    orchestration_kpus: Decimal  # beside those that work


class Prices(NamedTuple):
    """One region's prices on one day."""

    as_of: str  # ISO date
    region: str
    aws_lambda: LambdaPrices
    cloudwatch: CloudWatchPrices
    fleet: FleetPrices


class PriceError(ValueError):
    """A file that is no price table: names the field."""


def packaged_text(region: str = "us-east-1") -> str:
    """Return the table that comes with the package."""
    return (files(__package__) / f"{region}.json").read_text(encoding="utf-8")


def read_prices(path: Path | None = None) -> Prices:
    """Return the prices in the file, or those of the package; OSError and PriceError if it cannot be."""
    return parse_prices(packaged_text() if path is None else path.read_text(encoding="utf-8"))


def parse_prices(text: str) -> Prices:
    """Return the prices in a table's JSON text."""
    try:
        document = json.loads(text)
        if document["v"] != TABLE_VERSION:
            raise PriceError(f'field "v": {document["v"]!r} is not {TABLE_VERSION}')
        return Prices(
            str(document["as_of"]),
            str(document["region"]),
            _filled(LambdaPrices, document["lambda"]),
            _filled(CloudWatchPrices, document["cloudwatch"]),
            _filled(FleetPrices, {**document["kinesis"], **document["flink"]}),
        )
    except KeyError as error:
        raise PriceError(f"field {error} is missing") from None
    except (TypeError, AttributeError, InvalidOperation) as error:
        raise PriceError(f"not a price table: {error!r}") from None


def _filled(cls: Any, document: dict[str, Any]) -> Any:
    return cls(**{name: _value(document[name]) for name in cls._fields})


def _value(value: Any) -> Any:
    """Return a price, tiers, or either by architecture."""
    if isinstance(value, dict):
        return {name: _value(value[name]) for name in ARCHITECTURES}
    if isinstance(value, list):
        return tuple(Tier(None if t["up_to"] is None else Decimal(t["up_to"]), Decimal(t["price"])) for t in value)
    return Decimal(value)
