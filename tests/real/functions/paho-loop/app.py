"""Keeps a connection to an MQTT broker that does not answer; its loop runs in a thread."""

import os

import paho.mqtt.client as mqtt

client = None


def broker():
    global client
    if client is None:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.connect_async("127.0.0.1", int(os.environ["SINK_TCP_PORT"]))
        client.loop_start()
    return client


def handler(event, context):
    return {"connected": broker().is_connected()}
