"""Posts from greenlets, and waits for all of them."""

import os

from gevent import monkey

monkey.patch_all()

import gevent
import requests


def tell(kind, order):
    return requests.post(f"{os.environ['SINK']}/{kind}", json={"order": order}, timeout=5).ok


def handler(event, context):
    jobs = [gevent.spawn(tell, kind, event["order"]) for kind in ("mail", "stock")]
    gevent.joinall(jobs)
    return {"sent": [job.value for job in jobs]}
