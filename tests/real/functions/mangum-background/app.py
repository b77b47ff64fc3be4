"""FastAPI with a background task, behind Mangum: the task is done before the answer."""

import os

import requests
from fastapi import BackgroundTasks, FastAPI
from mangum import Mangum

app = FastAPI()
asgi = Mangum(app, lifespan="off")


def notify(order):
    requests.post(f"{os.environ['SINK']}/notify", json={"order": order}, timeout=5)


@app.get("/place/{order}")
async def place(order: str, background: BackgroundTasks):
    background.add_task(notify, order)
    return {"ok": True}


def handler(event, context):
    request = {
        "version": "2.0",
        "rawPath": f"/place/{event['order']}",
        "rawQueryString": "",
        "headers": {"host": "shop"},
        "requestContext": {"http": {"method": "GET", "path": f"/place/{event['order']}", "sourceIp": "127.0.0.1"}},
        "isBase64Encoded": False,
    }
    return asgi(request, context)
