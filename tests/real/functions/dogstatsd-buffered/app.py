"""Counts with Datadog's client, buffered: a thread sends every 300 ms."""

import os

from datadog.dogstatsd import DogStatsd

statsd = DogStatsd(host="127.0.0.1", port=int(os.environ["SINK_UDP_PORT"]), disable_buffering=False)


def handler(event, context):
    statsd.increment("orders", tags=[f"order:{event['order']}"])
    return {"ok": True}
