"""Logs to Loki through a QueueHandler: the listener's thread posts."""

import logging
import os
from queue import Queue

from logging_loki import LokiQueueHandler

log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(LokiQueueHandler(Queue(-1), url=f"{os.environ['SINK']}/loki/api/v1/push", version="1"))


def handler(event, context):
    log.info("placed %s", event["order"])
    return {"ok": True}
