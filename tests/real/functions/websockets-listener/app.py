"""Sends over a websocket that stays open; the library's own thread reads what comes."""

import os

from websockets.sync.client import connect

socket = None


def handler(event, context):
    global socket
    if socket is None:
        socket = connect(f"ws://127.0.0.1:{os.environ['SERVICE_PORT']}", ping_interval=None)
    socket.send(event["order"])
    return {"answer": socket.recv(timeout=5)}
