"""Notifies Bugsnag, which delivers from a thread."""

import os

import bugsnag

bugsnag.configure(
    api_key="0" * 32,
    endpoint=os.environ["SINK"],
    session_endpoint=os.environ["SINK"],
    auto_capture_sessions=False,
    max_breadcrumbs=0,
)


def handler(event, context):
    bugsnag.notify(ValueError(f"no stock for {event['order']}"))
    return {"ok": True}
