"""Logs to CloudWatch Logs with watchtower, as it comes: a queue and a thread that sends once a minute."""

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
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(
    watchtower.CloudWatchLogHandler("shop", boto3_client=client, create_log_group=False, create_log_stream=False)
)


def handler(event, context):
    log.info("placed %s", event["order"])
    return {"ok": True}
