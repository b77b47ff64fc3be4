"""Asks a service that is not there."""

import httpx

client = httpx.Client(base_url="http://127.0.0.1:9")


def stock_of(order):
    return client.get(f"/stock/{order}").json()


def price_of(order):
    return client.get(f"/price/{order}").json()


def handler(event, context):
    if event["order"] == "order-2":
        return price_of(event["order"])
    return {"ok": True}
