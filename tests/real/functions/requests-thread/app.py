"""Posts to a webhook from a thread of its own, and does not join it."""

import os
import threading

import requests


def notify(order):
    requests.post(f"{os.environ['SINK']}/notify", json={"order": order}, timeout=5)


def handler(event, context):
    threading.Thread(target=notify, args=(event["order"],)).start()
    return {"ok": True}
