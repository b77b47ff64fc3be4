"""Runs each order on a uvloop of its own."""

import os

import httpx
import uvloop


async def place(order):
    async with httpx.AsyncClient(base_url=os.environ["SINK"]) as client:
        return {"ok": (await client.post("/place", json={"order": order})).is_success}


def handler(event, context):
    return uvloop.run(place(event["order"]))
