"""Tells PostHog of each order through a client that posts almost at once; the first invocation makes it."""

import os

from posthog import Posthog

posthog = None


def analytics():
    global posthog
    if posthog is None:
        posthog = Posthog("phc_test", host=os.environ["SINK"], flush_at=1)
    return posthog


def handler(event, context):
    analytics().capture("order placed", distinct_id="customer-1", properties={"order": event["order"]})
    return {"ok": True}
