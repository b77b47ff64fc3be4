"""Reports to Rollbar, which starts a thread per message."""

import os

import rollbar

rollbar.init("token", "production", endpoint=f"{os.environ['SINK']}/api/1/", handler="thread")


def handler(event, context):
    rollbar.report_message(f"no stock for {event['order']}", "warning")
    return {"ok": True}
