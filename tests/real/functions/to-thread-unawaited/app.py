"""Posts in a thread of the loop's pool, by a task on a loop that stops."""

import asyncio
import os

import requests

tasks = set()


def notify(order):
    requests.post(f"{os.environ['SINK']}/notify", json={"order": order}, timeout=5)


async def place(order):
    tasks.add(asyncio.create_task(asyncio.to_thread(notify, order)))
    await asyncio.sleep(0.02)
    return {"ok": True}


loop = asyncio.new_event_loop()


def handler(event, context):
    return loop.run_until_complete(place(event["order"]))
