"""Counts with Datadog's client, buffered, and flushes before the return."""

import os

from datadog.dogstatsd import DogStatsd

statsd = DogStatsd(host="127.0.0.1", port=int(os.environ["SINK_UDP_PORT"]), disable_buffering=False)


def handler(event, context):
    statsd.increment("orders", tags=[f"order:{event['order']}"])
    statsd.flush()
    return {"ok": True}
