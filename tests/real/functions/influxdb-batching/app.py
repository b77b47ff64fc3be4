"""Writes points to InfluxDB in batches, from the client's own threads."""

import os

from influxdb_client import InfluxDBClient, Point
from influxdb_client.client.write_api import WriteOptions

client = InfluxDBClient(os.environ["SINK"], token="test", org="shop")
points = client.write_api(WriteOptions(batch_size=500, flush_interval=300))


def handler(event, context):
    points.write("orders", record=Point("order").tag("name", event["order"]).field("amount", 1))
    return {"ok": True}
