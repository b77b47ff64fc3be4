"""Sends to a Kafka that does not answer."""

import os

from kafka import KafkaProducer

producer = KafkaProducer(
    bootstrap_servers=f"127.0.0.1:{os.environ['SINK_TCP_PORT']}",
    api_version=(2, 5, 0),
    max_block_ms=200,
)


def tell(order):
    producer.send("orders", order.encode()).get(timeout=1)


def handler(event, context):
    if event["order"] == "order-2":
        tell(event["order"])
    return {"ok": True}
