"""Sends events to Honeycomb, and flushes before the return."""

import os

import libhoney

libhoney.init(writekey="test", dataset="shop", api_host=os.environ["SINK"], send_frequency=0.05)


def handler(event, context):
    note = libhoney.new_event()
    note.add_field("order", event["order"])
    note.send()
    libhoney.flush()
    return {"ok": True}
