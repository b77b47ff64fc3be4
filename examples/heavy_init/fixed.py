"""Takes an order; archives its invoice in S3, and imports what that takes when there is one."""

import json
import os

BUCKET = os.environ.get("INVOICE_BUCKET", "invoices")


def archive(order, invoice):
    import boto3  # 100 ms and more: one order in a hundred pays for it, no longer each cold start  # noqa: PLC0415

    s3 = boto3.client("s3")
    s3.put_object(Bucket=BUCKET, Key=f"{order}.json", Body=json.dumps(invoice).encode())


def handler(event, context):
    order = event["order"]
    if "invoice" in event:
        archive(order, event["invoice"])
    return {"order": order, "status": "accepted"}
