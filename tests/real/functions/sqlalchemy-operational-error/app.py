"""Asks a table that is not there."""

from sqlalchemy import create_engine, text

engine = create_engine("sqlite:////tmp/shop.db")


def stock_of(order):
    with engine.connect() as connection:
        return connection.execute(text("SELECT amount FROM stock WHERE id = :id"), {"id": order}).scalar()


def total():
    with engine.connect() as connection:
        return connection.execute(text("SELECT 1")).scalar()


def handler(event, context):
    if event["order"] == "order-2":
        return {"amount": stock_of(event["order"])}
    return {"amount": total()}
