"""Tells PostHog of each order, and waits until that is sent."""

import os

from posthog import Posthog

posthog = Posthog("phc_test", host=os.environ["SINK"], flush_interval=0.1)


def handler(event, context):
    posthog.capture("order placed", distinct_id="customer-1", properties={"order": event["order"]})
    posthog.flush()
    return {"ok": True}
