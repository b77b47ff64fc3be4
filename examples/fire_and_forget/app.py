"""Takes an order and tells the warehouse about it, in the background, so that the customer need not wait."""

import json
import os
import threading
import urllib.request

WAREHOUSE_URL = os.environ.get("WAREHOUSE_URL", "http://127.0.0.1:8099")


def post(path, body):
    request = urllib.request.Request(WAREHOUSE_URL + path, json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def notify(order):
    token = post("/token", {"client": "orders"})["token"]
    post("/orders", {"order": order, "token": token})


def handler(event, context):
    order = event["order"]
    post("/stock", {"reserve": order})
    threading.Thread(target=notify, args=(order,), name=f"notify-{order}").start()
    return {"order": order, "status": "accepted"}
