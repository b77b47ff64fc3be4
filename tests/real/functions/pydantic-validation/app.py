"""Checks an order that lacks an amount."""

from pydantic import BaseModel


class Order(BaseModel):
    order: str
    amount: int = 1


class Urgent(Order):
    until: int


def checked(event):
    if event["order"] == "order-2":
        return Urgent.model_validate(event)
    return Order.model_validate(event)


def handler(event, context):
    return checked(event).model_dump()
