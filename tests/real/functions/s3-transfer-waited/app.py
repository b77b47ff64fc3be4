"""Uploads in parts, from the transfer's threads; upload_fileobj returns when all are there."""

import io

import boto3
from boto3.s3.transfer import TransferConfig

s3 = boto3.client("s3", region_name="eu-west-1")
config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=4)


def handler(event, context):
    if "orders" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket="orders", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.upload_fileobj(io.BytesIO(b"x" * (11 << 20)), "orders", event["order"], Config=config)
    return {"bytes": s3.head_object(Bucket="orders", Key=event["order"])["ContentLength"]}
