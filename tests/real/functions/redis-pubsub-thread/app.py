"""Listens for changed prices in a thread of the client's own, for as long as the environment lives."""

import os

import redis

client = redis.Redis.from_url(os.environ["REDIS_URL"])
prices = {}
listener = None


def changed(message):
    prices[message["channel"]] = message["data"]


def handler(event, context):
    global listener
    if listener is None:
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        pubsub.subscribe(prices=changed)
        listener = pubsub.run_in_thread(sleep_time=1, daemon=True)
    return {"known": len(prices)}
