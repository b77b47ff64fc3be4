"""Posts twice at once with httpx, and awaits both."""

import asyncio
import os

import httpx


async def place(order):
    async with httpx.AsyncClient(base_url=os.environ["SINK"]) as client:
        answers = await asyncio.gather(*(client.post(f"/{kind}", json={"order": order}) for kind in ("mail", "stock")))
    return {"sent": [answer.is_success for answer in answers]}


def handler(event, context):
    return asyncio.run(place(event["order"]))
