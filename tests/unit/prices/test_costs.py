"""Prices and what they make of usage, checked against sums that one can do by hand."""

import json
from decimal import Decimal
from typing import Any

import pytest

from afterglow_collector.prices.costs import (
    MONTH_MS,
    Usage,
    flink_cost,
    gb_seconds,
    kinesis_cost,
    lambda_costs,
    lambda_logs_cost,
    metrics_cost,
    per_month,
    tiered,
)
from afterglow_collector.prices.refresh import fetch_table
from afterglow_collector.prices.table import PriceError, Tier, packaged_text, parse_prices, read_prices

PRICES = read_prices()
HOUR_MS = 3_600_000


def test_the_packaged_table_says_of_which_day_it_is() -> None:
    assert "us-east-1" == PRICES.region
    assert json.loads(packaged_text())["as_of"] == PRICES.as_of


def test_each_part_of_an_amount_is_at_its_own_tiers_price() -> None:
    tiers = (Tier(Decimal(10), Decimal(3)), Tier(Decimal(20), Decimal(2)), Tier(None, Decimal(1)))

    assert [0, 30, 32, 50, 55] == [tiered(tiers, Decimal(amount)) for amount in (0, 10, 11, 20, 25)]


def test_a_million_requests_of_100_ms_at_128_mb() -> None:
    usage = Usage("x86_64", 1_000_000, 1_000_000 * 100 * 128)
    cost = lambda_costs({"f": usage}, PRICES.aws_lambda, int(MONTH_MS))["f"]

    assert Decimal(12_500) == gb_seconds(usage.billed_mb_ms)
    assert (Decimal("0.20"), Decimal("0.20833375")) == (cost.requests, cost.duration)


def test_arm_is_a_fifth_cheaper() -> None:
    usages = {arch: Usage(arch, 0, 1024 * 1000 * 100) for arch in ("x86_64", "arm64")}
    costs = lambda_costs(usages, PRICES.aws_lambda, int(MONTH_MS))

    assert (Decimal("0.00166667"), Decimal("0.00133334")) == (costs["x86_64"].total, costs["arm64"].total)


def test_a_large_account_pays_every_function_at_its_average_price() -> None:
    half = 6_000_000_000 * 1024 * 1000  # 6 billion GB-s each: 12 in all, of which 6 at the first price
    costs = lambda_costs({n: Usage("x86_64", 0, half) for n in "ab"}, PRICES.aws_lambda, int(MONTH_MS))
    expected = Decimal(6_000_000_000) * (Decimal("0.0000166667") + Decimal("0.000015"))

    assert costs["a"] == costs["b"]
    assert pytest.approx(float(expected)) == float(costs["a"].total + costs["b"].total)


def test_an_hour_is_valued_at_the_price_of_such_a_month() -> None:
    hour = Usage("x86_64", 0, 12_000_000_000 * 1024 * 1000 // 730)
    cost = lambda_costs({"f": hour}, PRICES.aws_lambda, HOUR_MS)["f"]
    month = Decimal(6_000_000_000) * (Decimal("0.0000166667") + Decimal("0.000015"))

    assert pytest.approx(float(month)) == float(per_month(cost.total, HOUR_MS))


def test_twenty_thousand_metrics_cost_four_thousand_dollars_a_month() -> None:
    assert Decimal(4_000) == metrics_cost(PRICES, 20_000)


def test_logs_streams_and_engines() -> None:
    assert Decimal("0.50") == lambda_logs_cost(PRICES, 2**30)
    assert Decimal(20 * 1024) * Decimal("0.25") + 5_120 == lambda_logs_cost(PRICES, 30 * 2**40)
    assert Decimal("35.90") == kinesis_cost(PRICES, 2, 1_000_000_000)
    assert Decimal("0.33") == flink_cost(PRICES, 2, Decimal(1))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"v": 2}, '"v": 2 is not 1'),
        ({"lambda": {}}, "'requests' is missing"),
        ({"lambda": None}, "not a price table"),
        ({"kinesis": {"shard_month": "much", "put_unit": "1"}}, "not a price table"),
    ],
)
def test_a_table_of_something_else_is_refused(edit: dict[str, Any], said: str) -> None:
    with pytest.raises(PriceError) as refused:
        parse_prices(json.dumps({**json.loads(packaged_text()), **edit}))

    assert said in str(refused.value)


def product(group: str, *tiers: tuple[str, str, str]) -> str:
    """Return one item of a PriceList, as GetProducts gives it."""
    dimensions = {
        f"SKU.TERM.{number}": {"beginRange": begin, "endRange": end, "unit": "x", "pricePerUnit": {"USD": price}}
        for number, (begin, end, price) in enumerate(tiers)
    }
    return json.dumps(
        {
            "product": {"productFamily": "Serverless", "attributes": {"group": group, "regionCode": "eu-west-1"}},
            "terms": {"OnDemand": {"SKU.TERM": {"priceDimensions": dimensions}}},
        }
    )


class Pages:
    """A ``pricing`` client in two pages; the real one's HTTP is in tests/integration."""

    def __init__(self, *pages: list[str]) -> None:
        self.pages = list(pages)
        self.asked: list[dict[str, Any]] = []

    def get_products(self, **request: Any) -> dict[str, Any]:
        self.asked.append(dict(request))
        page = self.pages.pop(0)
        return {"PriceList": page, **({"NextToken": "more"} if self.pages else {})}


def test_fresh_prices_replace_those_of_lambda() -> None:
    duration = product(
        "AWS-Lambda-Duration", ("15000000000", "Inf", "3"), ("0", "6000000000", "1"), ("6000000000", "15000000000", "2")
    )
    client = Pages(
        [
            product("AWS-Lambda-Requests", ("0", "Inf", "0.0000003")),
            product("AWS-Lambda-Edge-Duration", ("0", "Inf", "9")),
        ],
        [duration, product("AWS-Lambda-Duration-ARM", ("0", "Inf", "0.5"))],
    )
    prices = parse_prices(fetch_table(client, "eu-west-1", "2027-01-02"))

    assert ("2027-01-02", "eu-west-1") == (prices.as_of, prices.region)
    assert Decimal("0.0000003") == prices.aws_lambda.requests
    assert [1, 2, 3] == [tier.price for tier in prices.aws_lambda.gb_second["x86_64"]]
    assert PRICES.cloudwatch == prices.cloudwatch
    assert "more" == client.asked[1]["NextToken"]


def test_a_price_list_without_lambda_is_refused() -> None:
    with pytest.raises(PriceError, match="no AWS-Lambda-Duration for mars-1"):
        fetch_table(Pages([]), "mars-1", "2027-01-02")
