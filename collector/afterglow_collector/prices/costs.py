"""What usage costs. In: amounts, and a price list. Out: Decimal dollars. Pure, and exact: no float touches money."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from afterglow_collector.prices.table import LambdaPrices, Prices, Tier

MONTH_MS = Decimal(730 * 3_600_000)
"""730 hours, as AWS' own calculator has it."""

MB_MS_PER_GB_S = Decimal(1024 * 1000)


class Usage(NamedTuple):
    """What one function used of Lambda in a stretch of time."""

    arch: str
    requests: int
    billed_mb_ms: int  # the sum of billed duration times configured memory: exact, additive


class Cost(NamedTuple):
    """What it costs, in dollars."""

    requests: Decimal
    duration: Decimal

    @property
    def total(self) -> Decimal:
        """Both together."""
        return self.requests + self.duration


def tiered(tiers: Sequence[Tier], amount: Decimal) -> Decimal:
    """Return the price of an amount, each part of it at its own tier's price."""
    cost, below = Decimal(0), Decimal(0)
    for tier in tiers:
        above = amount if tier.up_to is None else min(amount, tier.up_to)
        if above <= below:
            break
        cost += (above - below) * tier.price
        below = above
    return cost


def gb_seconds(billed_mb_ms: int) -> Decimal:
    """Return megabyte-milliseconds in the unit that Lambda bills: 1 GB is 1,024 MB."""
    return Decimal(billed_mb_ms) / MB_MS_PER_GB_S


def lambda_costs(usages: Mapping[str, Usage], prices: LambdaPrices, period_ms: int) -> dict[str, Cost]:
    """Return what each function cost in the period.

    Tiers are counted over a month and over all functions of an architecture: so the average price of a month at
    this pace is what each of them pays. The free tier is not deducted: it is the account's, not the function's.
    """
    average = {
        arch: _average_price(prices.gb_second[arch], _monthly_gb_seconds(usages, arch, period_ms))
        for arch in prices.gb_second
    }
    return {
        name: Cost(usage.requests * prices.requests, gb_seconds(usage.billed_mb_ms) * average[usage.arch])
        for name, usage in usages.items()
    }


def per_month(cost: Decimal, period_ms: int) -> Decimal:
    """Return the cost of a month at the pace of the period."""
    return cost * MONTH_MS / Decimal(max(period_ms, 1))


def metrics_cost(prices: Prices, metrics: int) -> Decimal:
    """Return a month of that many custom metrics."""
    return tiered(prices.cloudwatch.metric_month, Decimal(metrics))


def lambda_logs_cost(prices: Prices, log_bytes: int) -> Decimal:
    """Return what it costs to take in that many bytes of functions' logs in a month."""
    return tiered(prices.cloudwatch.lambda_logs_gb, Decimal(log_bytes) / 2**30)


def kinesis_cost(prices: Prices, shards: int, put_units: int) -> Decimal:
    """Return a month of a provisioned stream: its shards, and puts in units of 25 KB."""
    return shards * prices.fleet.shard_month + put_units * prices.fleet.put_unit


def flink_cost(prices: Prices, kpus: int, hours: Decimal) -> Decimal:
    """Return what an application costs: its own units, and those that orchestrate them."""
    return (kpus + prices.fleet.orchestration_kpus) * hours * prices.fleet.kpu_hour


def _monthly_gb_seconds(usages: Mapping[str, Usage], arch: str, period_ms: int) -> Decimal:
    used = sum(usage.billed_mb_ms for usage in usages.values() if usage.arch == arch)
    return per_month(gb_seconds(used), period_ms)


def _average_price(tiers: Sequence[Tier], amount: Decimal) -> Decimal:
    return tiered(tiers, amount) / amount if amount else tiers[0].price
