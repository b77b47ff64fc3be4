"""Logs to Better Stack, and flushes before each return."""

import logging
import os

from logtail import LogtailHandler

to_logtail = LogtailHandler(source_token="test", host=os.environ["SINK"])
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(to_logtail)


def handler(event, context):
    log.info("placed %s", event["order"])
    to_logtail.flush()
    return {"ok": True}
