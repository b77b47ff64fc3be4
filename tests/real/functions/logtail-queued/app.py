"""Logs to Better Stack; the handler's thread sends."""

import logging
import os

from logtail import LogtailHandler

log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(LogtailHandler(source_token="test", host=os.environ["SINK"]))


def handler(event, context):
    log.info("placed %s", event["order"])
    return {"ok": True}
