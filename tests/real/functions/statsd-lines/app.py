"""Counts with statsd, a datagram each."""

import os

import statsd

client = statsd.StatsClient("127.0.0.1", int(os.environ["SINK_UDP_PORT"]))


def handler(event, context):
    with client.timer(event["order"]):
        pass
    return {"ok": True}
