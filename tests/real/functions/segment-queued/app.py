"""Tells Segment of each order; its consumer thread sends."""

import os

from segment import analytics

analytics.write_key = "test"
analytics.host = os.environ["SINK"]


def handler(event, context):
    analytics.track("customer-1", "order placed", {"order": event["order"]})
    return {"ok": True}
