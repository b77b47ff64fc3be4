"""Logs to Loki from the handler's own thread."""

import logging
import os

from logging_loki import LokiHandler

log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(LokiHandler(url=f"{os.environ['SINK']}/loki/api/v1/push", version="1"))


def handler(event, context):
    log.info("placed %s", event["order"])
    return {"ok": True}
