"""Asks a service that does not answer, with a limit."""

import os

import requests

session = requests.Session()


def stock_of(order):
    answer = session.get(
        f"http://127.0.0.1:{os.environ['SINK_TCP_PORT']}/stock/{order}",
        timeout=0.3,
    )
    return answer.json()


def handler(event, context):
    if event["order"] == "order-2":
        return stock_of(event["order"])
    return {"ok": True}
