"""Schedules a job in Pebble's thread pool, and does not read its future."""

import os

import requests
from pebble import ThreadPool

pool = ThreadPool(max_workers=1)


def notify(order):
    requests.post(f"{os.environ['SINK']}/notify", json={"order": order}, timeout=5)


def handler(event, context):
    pool.schedule(notify, args=[event["order"]])
    return {"ok": True}
