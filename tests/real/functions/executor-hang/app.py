"""Waits for a job in a pool, which waits for a service that does not answer."""

import os
from concurrent.futures import ThreadPoolExecutor

import requests

pool = ThreadPoolExecutor(max_workers=2)


def ask(order):
    return requests.get(f"http://127.0.0.1:{os.environ['SINK_TCP_PORT']}/stock/{order}").status_code


def handler(event, context):
    if event["order"] == "order-2":
        job = pool.submit(ask, event["order"])
        return job.result()
    return {"ok": True}
