"""Guards a request with a Timer, and calls it off when the answer is there."""

import os
import threading

import requests

session = requests.Session()


def handler(event, context):
    guard = threading.Timer(2, session.close)
    guard.start()
    try:
        return {"ok": session.post(f"{os.environ['SINK']}/place", json={"order": event["order"]}, timeout=5).ok}
    finally:
        guard.cancel()
