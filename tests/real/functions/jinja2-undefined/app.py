"""Renders a mail from a template that wants more than it is given."""

import os

from jinja2 import Environment, FileSystemLoader, StrictUndefined

templates = Environment(undefined=StrictUndefined, loader=FileSystemLoader(os.path.dirname(__file__)))
receipt = templates.get_template("receipt.txt")
note = templates.from_string("Order {{ order }}\n")


def mail(order):
    return receipt.render(order=order)


def handler(event, context):
    if event["order"] == "order-2":
        return mail(event["order"])
    return note.render(order=event["order"])
