"""Writes an audit row in a task that nobody awaits."""

import asyncio
import os

import asyncpg

loop = asyncio.new_event_loop()
tasks = set()
pool = None


async def audit(order):
    await pool.execute("SELECT pg_sleep(0.3), $1::text", order)


async def place(order):
    global pool
    if pool is None:
        pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=2, max_size=4)
    amount = await pool.fetchval("SELECT 1")
    tasks.add(asyncio.create_task(audit(order)))
    await asyncio.sleep(0.02)
    return {"amount": amount}


def handler(event, context):
    return loop.run_until_complete(place(event["order"]))
