"""Sends events to Honeycomb; its transmission thread batches them."""

import os

import libhoney

libhoney.init(writekey="test", dataset="shop", api_host=os.environ["SINK"], send_frequency=0.25)


def handler(event, context):
    note = libhoney.new_event()
    note.add_field("order", event["order"])
    note.send()
    return {"ok": True}
