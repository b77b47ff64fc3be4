"""Calls a slow service over gRPC, and does not wait for the answer."""

import os

import grpc

channel = grpc.insecure_channel(f"127.0.0.1:{os.environ['SERVICE_PORT']}")
place = channel.unary_unary("/shop.Orders/Place")
calls = []


def handler(event, context):
    calls.append(place.future(event["order"].encode(), timeout=5))
    return {"unanswered": sum(not call.done() for call in calls)}
