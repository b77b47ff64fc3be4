"""Asks a MongoDB that is not there."""

from pymongo import MongoClient

client = MongoClient("127.0.0.1", 9, serverSelectionTimeoutMS=300)


def stock_of(order):
    return client.shop.stock.find_one({"order": order})


def handler(event, context):
    if event["order"] == "order-2":
        return stock_of(event["order"])
    return {"ok": True}
