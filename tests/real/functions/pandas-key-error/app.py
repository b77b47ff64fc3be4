"""Sums a column that is not there, in a module of its own."""

import totals


def handler(event, context):
    if event["order"] == "order-2":
        return {"total": totals.total("amounts")}
    return {"total": totals.total("amount")}
