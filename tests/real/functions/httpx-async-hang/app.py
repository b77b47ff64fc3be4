"""Awaits a service that does not answer: the thread waits in the loop's select, the coroutine in its request."""

import asyncio
import os

import httpx


async def ask(order):
    async with httpx.AsyncClient(timeout=None) as client:
        return (await client.get(f"http://127.0.0.1:{os.environ['SINK_TCP_PORT']}/stock/{order}")).text


def handler(event, context):
    if event["order"] == "order-2":
        return asyncio.run(ask(event["order"]))
    return {"ok": True}
