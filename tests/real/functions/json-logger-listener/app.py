"""Logs JSON to standard error through a QueueListener, whose thread writes at once."""

import logging
from logging.handlers import QueueHandler, QueueListener
from queue import Queue

from pythonjsonlogger.json import JsonFormatter

records = Queue()
to_stderr = logging.StreamHandler()
to_stderr.setFormatter(JsonFormatter())
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.propagate = False
log.addHandler(QueueHandler(records))
QueueListener(records, to_stderr).start()


def handler(event, context):
    log.info("placed", extra={"order": event["order"]})
    records.join()
    return {"ok": True}
