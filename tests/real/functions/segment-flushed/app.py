"""Tells Segment of each order, and waits until that is sent."""

import os

from segment import analytics

analytics.write_key = "test"
analytics.host = os.environ["SINK"]


def handler(event, context):
    analytics.track("customer-1", "order placed", {"order": event["order"]})
    analytics.flush()
    return {"ok": True}
