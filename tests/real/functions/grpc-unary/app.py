"""Calls a service over gRPC; the channel lives as long as the environment."""

import os

import grpc

channel = grpc.insecure_channel(f"127.0.0.1:{os.environ['SERVICE_PORT']}")
place = channel.unary_unary("/shop.Orders/Place")


def handler(event, context):
    return {"answer": place(event["order"].encode(), timeout=5).decode()}
