"""The same pool, opened by the first invocation that needs it."""

import os

from psycopg_pool import ConnectionPool

pool = None


def connections():
    global pool
    if pool is None:
        pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=2, max_size=4, open=True)
        pool.wait()
    return pool


def handler(event, context):
    with connections().connection() as connection:
        return {"order": connection.execute("SELECT %s::text", (event["order"],)).fetchone()[0]}
