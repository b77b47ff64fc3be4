"""Tells Mixpanel of each order, in the handler's own thread."""

import os

from mixpanel import Consumer, Mixpanel

mixpanel = Mixpanel("test", consumer=Consumer(api_host=f"127.0.0.1:{os.environ['SINK_HTTP_PORT']}", retry_limit=0))


def handler(event, context):
    mixpanel._consumer._endpoints = {"events": f"{os.environ['SINK']}/track"}
    mixpanel.track("customer-1", "order placed", {"order": event["order"]})
    return {"ok": True}
