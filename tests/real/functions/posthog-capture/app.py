"""Tells PostHog of each order, and returns at once: its client sends from a thread of its own."""

import os

from posthog import Posthog

posthog = Posthog("phc_test", host=os.environ["SINK"])


def handler(event, context):
    posthog.capture("order placed", distinct_id="customer-1", properties={"order": event["order"]})
    return {"ok": True}
