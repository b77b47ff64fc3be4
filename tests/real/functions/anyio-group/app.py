"""Does two things at once in anyio's task group, which waits for both."""

import os

import anyio
import httpx


async def tell(client, kind, order):
    (await client.post(f"/{kind}", json={"order": order})).raise_for_status()


async def place(order):
    async with httpx.AsyncClient(base_url=os.environ["SINK"]) as client, anyio.create_task_group() as group:
        for kind in ("mail", "stock"):
            group.start_soon(tell, client, kind, order)
    await anyio.to_thread.run_sync(len, order)
    return {"ok": True}


def handler(event, context):
    return anyio.run(place, event["order"])
