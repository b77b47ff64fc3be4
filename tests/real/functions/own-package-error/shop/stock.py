"""What is in stock."""

import os

import requests

session = requests.Session()


def stock_of(order):
    answer = session.get(f"{os.environ['SINK']}/stock/{order}", timeout=5)
    answer.raise_for_status()
    return answer.json()["status"]
