"""Begins an upload with s3transfer's manager, and does not wait for its future."""

import io
import os

import boto3
from s3transfer.manager import TransferManager

s3 = boto3.client(
    "s3",
    endpoint_url=os.environ["SINK"],
    region_name="eu-west-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
transfers = TransferManager(s3)


def handler(event, context):
    transfers.upload(io.BytesIO(event["order"].encode()), "orders", event["order"])
    return {"ok": True}
