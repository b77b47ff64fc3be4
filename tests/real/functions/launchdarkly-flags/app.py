"""Asks LaunchDarkly for a flag, and sends no events: only the stream's thread is there, waiting for changes."""

import os

import ldclient
from ldclient.config import Config

client = None


def flags():
    global client
    if client is None:
        sink = os.environ["SINK"]
        config = Config("sdk-test", base_uri=sink, stream_uri=f"{sink}/stream", send_events=False)
        ldclient.set_config(config)
        client = ldclient.get()
    return client


def handler(event, context):
    who = ldclient.Context.builder(event["order"]).build()
    return {"express": flags().variation("express", who, False)}
