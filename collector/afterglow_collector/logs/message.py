"""Tells what a log message is. In: the message. Out: a Report, a Record, or a Verdict on why it is neither.

Whatever it is, it raises nothing: log groups hold all that functions ever print.
"""

import json
from enum import Enum

from afterglow.records import Record, RecordError, from_document
from afterglow_collector.logs.report_line import Report, report_of_json, report_of_text

MAX_CHARACTERS = 262_144
"""A record is some hundred bytes, its longest kinds a few thousand. What is longer is a function's own."""

PATTERN = '?"REPORT RequestId" ?"platform.report" ?"\\"afterglow\\""'
"""FilterLogEvents' words for "any of these": the service then sends these lines alone."""


class Verdict(Enum):
    """Why a message is neither a report nor a record."""

    OTHER = "other"  # what functions print
    BROKEN = "broken"  # it says that it is one, but is not whole, or is of a newer version
    ENORMOUS = "enormous"


def read_message(message: str) -> Report | Record | Verdict:
    """Return what the message holds."""
    if message.startswith("REPORT "):
        return report_of_text(message[:MAX_CHARACTERS]) or Verdict.BROKEN
    marked = '"afterglow"' in message[:200] or '"platform.report"' in message[:200]
    if not marked or not message.lstrip().startswith("{"):
        return Verdict.OTHER
    if len(message) > MAX_CHARACTERS:
        return Verdict.ENORMOUS
    try:
        document = json.loads(message)
    except (ValueError, RecursionError):
        return Verdict.BROKEN
    return _read_document(document)


def _read_document(document: object) -> Report | Record | Verdict:
    if not isinstance(document, dict):
        return Verdict.OTHER
    if document.get("type") == "platform.report":
        return report_of_json(document) or Verdict.BROKEN
    if "afterglow" not in document:
        return Verdict.OTHER
    try:
        return from_document(document)
    except RecordError:
        return Verdict.BROKEN
