"""Posts from gevent's pool of real threads, and waits for none."""

import os

import gevent
import requests


def tell(order):
    requests.post(f"{os.environ['SINK']}/notify", json={"order": order}, timeout=5)


def handler(event, context):
    gevent.get_hub().threadpool.spawn(tell, event["order"])
    gevent.sleep(0.02)
    return {"ok": True}
