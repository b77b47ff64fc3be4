"""Posts with httpx in a task that asyncio.run cancels, as nobody awaits it."""

import asyncio
import os

import httpx

tasks = set()


async def notify(order):
    async with httpx.AsyncClient() as client:
        await client.post(f"{os.environ['SINK']}/notify", json={"order": order})


async def place(order):
    tasks.add(asyncio.create_task(notify(order)))
    await asyncio.sleep(0)
    return {"ok": True}


def handler(event, context):
    return asyncio.run(place(event["order"]))
