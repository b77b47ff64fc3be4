"""Hands a coroutine to a uvloop that runs in a thread of its own, and does not wait."""

import asyncio
import os
import threading

import httpx
import uvloop

loop = uvloop.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()


async def notify(order):
    async with httpx.AsyncClient() as client:
        await client.post(f"{os.environ['SINK']}/notify", json={"order": order})


def handler(event, context):
    asyncio.run_coroutine_threadsafe(notify(event["order"]), loop)
    return {"ok": True}
