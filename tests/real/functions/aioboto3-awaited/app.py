"""Puts an item with aioboto3, within asyncio.run."""

import asyncio

import aioboto3

session = aioboto3.Session(region_name="eu-west-1")


async def put(order):
    async with session.client("s3") as s3:
        if "orders" not in [bucket["Name"] for bucket in (await s3.list_buckets())["Buckets"]]:
            await s3.create_bucket(Bucket="orders", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        await s3.put_object(Bucket="orders", Key=order, Body=b"1")
        body = (await s3.get_object(Bucket="orders", Key=order))["Body"]
        return (await body.read()).decode()


def handler(event, context):
    return {"amount": asyncio.run(put(event["order"]))}
