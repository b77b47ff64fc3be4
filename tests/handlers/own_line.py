"""Faults of a function's own that show deep inside real libraries, which lie beside it. The event names the fault.

The line that is at fault ends in a comment with the fault's name.
"""

import asyncio
import concurrent.futures
import os
import sys

ROOT = os.path.dirname(__file__)


def bad_sql(_context):
    import sqlalchemy

    with sqlalchemy.create_engine("sqlite://").connect() as connection:
        return connection.execute(sqlalchemy.text("select nothing")).all()  # bad_sql


def refused_httpx(_context):
    import httpx

    return httpx.get("http://127.0.0.1:9/").text  # refused_httpx


async def _refused_async():
    import httpx

    async with httpx.AsyncClient() as client:
        return await client.get("http://127.0.0.1:9/")  # refused_async


def refused_async(_context):
    return asyncio.run(_refused_async())


def refused_requests(_context):
    import requests

    return requests.get("http://127.0.0.1:9/").text  # refused_requests


def refused_boto3(_context):
    import boto3
    from botocore.config import Config

    s3 = boto3.client(
        "s3",
        endpoint_url="http://127.0.0.1:9",
        region_name="eu-central-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"max_attempts": 0}, proxies={}),
    )
    return s3.list_buckets()  # refused_boto3


def template(_context):
    import jinja2

    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(ROOT), undefined=jinja2.StrictUndefined)
    return environment.get_template("page.html").render(rows=[1])  # template


def wrong_column(_context):
    import pandas as pd

    return pd.DataFrame({"a": [1]})["b"].sum()  # wrong_column


def _halve(row):
    return {}[row["a"]]  # called_back


def called_back(_context):
    import pandas as pd

    return pd.DataFrame({"a": [1]}).apply(_halve, axis=1)


def invalid(_context):
    import pydantic

    class Order(pydantic.BaseModel):
        count: int

    return Order(count="many").count  # invalid


def in_a_pool(_context):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(bad_json).result()


def bad_json():
    import requests

    response = requests.Response()
    response._content = b"{"
    return response.json()  # in_a_pool


def grouped(_context):
    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(_refused_async())
            await asyncio.sleep(10)

    return asyncio.run(main())


def generated(_context):
    return [row for row in rows()]  # noqa: C416 - the point of it


def rows():
    import jinja2

    yield 1
    yield jinja2.Template("{{ 1 / 0 }}").render()  # generated


def beside(_context):
    from sqlalchemy import mine

    return mine.fail()


def slow_httpx(_context):
    import httpx

    return httpx.get(f"http://127.0.0.1:{os.environ['SLOW_PORT']}/", timeout=60).text  # slow_httpx


def slow_pool(_context):
    import sqlalchemy

    engine = sqlalchemy.create_engine(
        "sqlite://", poolclass=sqlalchemy.pool.QueuePool, pool_size=1, max_overflow=0, pool_timeout=60
    )
    with engine.connect():
        return engine.connect()  # slow_pool


def leaves(_context):
    sys.exit(3)  # leaves


def leaves_at_once(_context):
    os._exit(3)  # leaves_at_once


def handle(event, context):
    return globals()[event["do"]](context)


if os.path.isdir(os.path.join(ROOT, "aws_lambda_powertools")):
    from aws_lambda_powertools import Logger
    from aws_lambda_powertools.middleware_factory import lambda_handler_decorator

    @lambda_handler_decorator
    def middleware(handler, event, context):
        return handler(event, context)

    handler = Logger(service="own-line").inject_lambda_context(middleware(handle))
else:
    handler = handle
