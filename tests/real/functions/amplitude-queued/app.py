"""Tells Amplitude of each order; its timer and pool send."""

import os

from amplitude import Amplitude, BaseEvent

amplitude = Amplitude("test")
amplitude.configuration.server_url = f"{os.environ['SINK']}/2/httpapi"
amplitude.configuration.flush_interval_millis = 300


def handler(event, context):
    amplitude.track(
        BaseEvent(event_type="order placed", user_id="customer-1", event_properties={"order": event["order"]})
    )
    return {"ok": True}
