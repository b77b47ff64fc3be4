"""Sends to Kafka and returns; the producer's thread would deliver."""

import os

from kafka import KafkaProducer

producer = KafkaProducer(
    bootstrap_servers=f"127.0.0.1:{os.environ['SINK_TCP_PORT']}",
    api_version=(2, 5, 0),
    max_block_ms=50,
)


def handler(event, context):
    try:
        producer.send("orders", event["order"].encode())
    except Exception as error:
        return {"ok": False, "error": str(error)}
    return {"ok": True}
