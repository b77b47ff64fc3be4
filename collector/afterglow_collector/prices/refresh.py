"""Asks AWS for today's Lambda prices. In: a ``pricing`` client, a region. Out: a price table's JSON text.

GetProducts needs ``pricing:GetProducts`` and is answered in us-east-1, for all regions. What it gives replaces
the ``lambda`` part of the packaged table; the other parts stay, and ``as_of_others`` keeps their day.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from afterglow_collector.prices.table import PriceError, packaged_text, parse_prices

GROUPS: dict[str, tuple[str, ...]] = {
    "AWS-Lambda-Requests": ("requests",),
    "AWS-Lambda-Duration": ("gb_second", "x86_64"),
    "AWS-Lambda-Duration-ARM": ("gb_second", "arm64"),
    "AWS-Lambda-Storage-Duration": ("ephemeral_gb_second",),
    "AWS-Lambda-Provisioned-Concurrency": ("provisioned_idle_gb_second", "x86_64"),
    "AWS-Lambda-Provisioned-Concurrency-ARM": ("provisioned_idle_gb_second", "arm64"),
    "AWS-Lambda-Duration-Provisioned": ("provisioned_gb_second", "x86_64"),
    "AWS-Lambda-Duration-Provisioned-ARM": ("provisioned_gb_second", "arm64"),
}
"""The attribute ``group`` of a product, and where its price stands in our table."""


def fetch_table(client: Any, region: str, today: str) -> str:
    """Return the packaged table with the region's Lambda prices of today; PriceError if AWS gave none."""
    table = json.loads(packaged_text())
    found = set()
    for product in products(client, region):
        group = product["product"]["attributes"].get("group", "")
        if group in GROUPS:
            _put(table["lambda"], GROUPS[group], tiers_of(product))
            found.add(group)
    missing = sorted({"AWS-Lambda-Requests", "AWS-Lambda-Duration", "AWS-Lambda-Duration-ARM"} - found)
    if missing:
        raise PriceError(f"the price list has no {missing[0]} for {region}")
    table.update(as_of_others=table["as_of"], as_of=today, region=region)
    text = json.dumps(table, indent=2) + "\n"
    parse_prices(text)
    return text


def products(client: Any, region: str) -> Iterator[dict[str, Any]]:
    """Return Lambda's products in a region, page by page."""
    request: dict[str, Any] = {
        "ServiceCode": "AWSLambda",
        "Filters": [{"Type": "TERM_MATCH", "Field": "regionCode", "Value": region}],
        "FormatVersion": "aws_v1",
    }
    while True:
        page = client.get_products(**request)
        for text in page["PriceList"]:
            yield json.loads(text)
        if not page.get("NextToken"):
            return
        request["NextToken"] = page["NextToken"]


def tiers_of(product: dict[str, Any]) -> list[dict[str, str | None]]:
    """Return a product's on-demand prices as tiers of our table."""
    dimensions = [
        dimension for term in product["terms"]["OnDemand"].values() for dimension in term["priceDimensions"].values()
    ]
    dimensions.sort(key=lambda dimension: Decimal(dimension["beginRange"]))
    return [
        {
            "up_to": None if dimension["endRange"] == "Inf" else dimension["endRange"],
            "price": dimension["pricePerUnit"]["USD"],
        }
        for dimension in dimensions
    ]


def _put(table: dict[str, Any], path: tuple[str, ...], tiers: list[dict[str, str | None]]) -> None:
    *folders, name = path
    for folder in folders:
        table = table[folder]
    table[name] = tiers if isinstance(table[name], list) else tiers[0]["price"]
