"""Asks LaunchDarkly for a flag and tracks the order; the client streams, and sends events from a thread."""

import os

import ldclient
from ldclient.config import Config

sink = os.environ["SINK"]
ldclient.set_config(Config("sdk-test", base_uri=sink, stream_uri=f"{sink}/stream", events_uri=sink))
client = ldclient.get()


def handler(event, context):
    who = ldclient.Context.builder(event["order"]).build()
    flag = client.variation("express", who, False)
    client.track("placed", who)
    return {"express": flag}
