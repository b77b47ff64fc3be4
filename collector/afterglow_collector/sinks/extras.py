"""Which packages a sink needs that do not come with ours. In: a sink's kind. Out: words on what is missing, if any."""

from importlib.util import find_spec
from typing import NamedTuple


class Extra(NamedTuple):
    """A module, and the extra of our package that brings it."""

    module: str
    name: str


BOTO3 = Extra("boto3", "aws")
NEEDED = {
    "cloudwatch-logs": (BOTO3,),
    "xray": (BOTO3, Extra("aws_xray_sdk", "aws")),
    "otlp": (Extra("requests", "otlp"), Extra("opentelemetry", "otlp")),
    "otlp, signed": (BOTO3,),
}


def missing(kind: str) -> str | None:
    """Return what is not installed and how to get it; None if all is there. Nothing is imported."""
    for extra in NEEDED.get(kind, ()):
        if find_spec(extra.module) is None:
            return f"{kind}: {extra.module} is not installed; pip install 'afterglow[{extra.name}]'"
    return None
