"""Asks PostgreSQL through a pool that lives as long as the environment: three workers and a scheduler, all idle."""

import os

from psycopg_pool import ConnectionPool

pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=2, max_size=4, open=True)


def handler(event, context):
    with pool.connection() as connection:
        return {"order": connection.execute("SELECT %s::text", (event["order"],)).fetchone()[0]}
