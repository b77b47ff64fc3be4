"""Remembers prices for a minute."""

import os

import requests
from cachetools import TTLCache, cached

session = requests.Session()


@cached(TTLCache(maxsize=100, ttl=60))
def price(part):
    return session.get(f"{os.environ['SINK']}/price/{part}", timeout=5).json()["status"]


def handler(event, context):
    return {"price": price("screw") + len(event["order"])}
