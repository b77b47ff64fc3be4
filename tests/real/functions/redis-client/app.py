"""Counts in Redis with a pooled client."""

import os

import redis

client = redis.Redis.from_url(os.environ["REDIS_URL"])


def handler(event, context):
    with client.pipeline() as pipe:
        pipe.incr("orders").lpush("names", event["order"])
        return {"orders": pipe.execute()[0]}
