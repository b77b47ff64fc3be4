"""Writes to SQLite through SQLAlchemy's pool."""

from sqlalchemy import Column, MetaData, String, Table, create_engine, func, insert, select

engine = create_engine("sqlite:////tmp/shop.db")
metadata = MetaData()
orders = Table("orders", metadata, Column("name", String, primary_key=True))
metadata.create_all(engine)


def handler(event, context):
    with engine.begin() as connection:
        connection.execute(insert(orders).values(name=event["order"]))
        return {"orders": connection.execute(select(func.count()).select_from(orders)).scalar()}
