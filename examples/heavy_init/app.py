"""Takes an order; archives its invoice in S3, which one order in a hundred has."""

import json
import os

import boto3

BUCKET = os.environ.get("INVOICE_BUCKET", "invoices")


def archive(order, invoice):
    s3 = boto3.client("s3")
    s3.put_object(Bucket=BUCKET, Key=f"{order}.json", Body=json.dumps(invoice).encode())


def handler(event, context):
    order = event["order"]
    if "invoice" in event:
        archive(order, event["invoice"])
    return {"order": order, "status": "accepted"}
