"""Writes a point to InfluxDB, and has the answer before it goes on."""

import os

from influxdb_client import InfluxDBClient, Point
from influxdb_client.client.write_api import SYNCHRONOUS

client = InfluxDBClient(os.environ["SINK"], token="test", org="shop")
points = client.write_api(write_options=SYNCHRONOUS)


def handler(event, context):
    points.write("orders", record=Point("order").tag("name", event["order"]).field("amount", 1))
    return {"ok": True}
