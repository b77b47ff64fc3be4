"""Asks a service that does not answer, with no limit: the function's own timeout ends it."""

import os

import requests

session = requests.Session()


def stock_of(order):
    return session.get(f"http://127.0.0.1:{os.environ['SINK_TCP_PORT']}/stock/{order}").json()


def price_of(order):
    return session.get(f"{os.environ['SINK']}/price/{order}").json()


def handler(event, context):
    if event["order"] == "order-2":
        return stock_of(event["order"])
    return price_of(event["order"])
