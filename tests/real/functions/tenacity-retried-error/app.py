"""Retries through tenacity, and gives up: the library's frames lie between the function's own."""

import os

import httpx
from tenacity import retry, stop_after_attempt, wait_fixed

client = httpx.Client(base_url=os.environ["SINK"])


@retry(stop=stop_after_attempt(2), wait=wait_fixed(0.05), reraise=True)
def stock_of(order):
    answer = client.get(f"/stock/{order}")
    return answer.raise_for_status().json()


def handler(event, context):
    return stock_of(event["order"])
