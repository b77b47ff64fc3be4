"""Has a MongoDB client for later use: its monitors look for a server that does not answer yet."""

import os

from pymongo import MongoClient

client = None


def handler(event, context):
    global client
    if client is None:
        client = MongoClient(
            "127.0.0.1", int(os.environ["SINK_TCP_PORT"]), serverSelectionTimeoutMS=300, connectTimeoutMS=2000
        )
    return {"database": client["shop"].name}
