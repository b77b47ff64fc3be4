"""Logs to CloudWatch Logs with watchtower, and flushes before each return."""

import logging
import os

import boto3
import watchtower

client = boto3.client(
    "logs",
    endpoint_url=os.environ["SINK"],
    region_name="eu-west-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
to_cloudwatch = watchtower.CloudWatchLogHandler(
    "shop", boto3_client=client, create_log_group=False, create_log_stream=False
)
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(to_cloudwatch)


def handler(event, context):
    log.info("placed %s", event["order"])
    to_cloudwatch.flush()
    return {"ok": True}
