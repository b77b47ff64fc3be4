"""Tracks the order with LaunchDarkly, and flushes; flush() only tells the client's thread to send."""

import os

import ldclient
from ldclient.config import Config

sink = os.environ["SINK"]
ldclient.set_config(Config("sdk-test", base_uri=sink, stream_uri=f"{sink}/stream", events_uri=sink))
client = ldclient.get()


def handler(event, context):
    client.track("placed", ldclient.Context.builder(event["order"]).build())
    client.flush()
    return {"ok": True}
