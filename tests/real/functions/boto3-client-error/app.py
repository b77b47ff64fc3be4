"""Reads an object that is not there."""

import boto3

s3 = boto3.client("s3", region_name="eu-west-1")


def read(order):
    return s3.get_object(Bucket="no-such-bucket", Key=order)["Body"].read()


def buckets():
    return len(s3.list_buckets()["Buckets"])


def handler(event, context):
    if event["order"] == "order-2":
        return {"size": len(read(event["order"]))}
    return {"buckets": buckets()}
