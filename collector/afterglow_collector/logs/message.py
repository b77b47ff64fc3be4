"""Tells what a log message is. In: the message. Out: a Report, an InitReport, a Record, or a Verdict on why it is none.

Whatever it is, it raises nothing: log groups hold all that functions ever print.
"""

import json
from enum import Enum

from afterglow.records import Record, RecordError, from_document
from afterglow_collector.logs.report_line import (
    InitReport,
    Report,
    init_report_of_json,
    init_report_of_text,
    report_of_json,
    report_of_text,
)
from afterglow_collector.plausible import is_plausible

MAX_CHARACTERS = 262_144
"""A record is some hundred bytes, its longest kinds a few thousand. What is longer is a function's own."""

PATTERN = (
    '?"REPORT RequestId" ?"INIT_REPORT" ?"RESTORE_REPORT" '
    '?"platform.report" ?"platform.initReport" ?"platform.restoreReport" ?"\\"afterglow\\""'
)
"""FilterLogEvents' words for "any of these": the service then sends these lines alone."""


class Verdict(Enum):
    """Why a message is no report and no record."""

    OTHER = "other"  # what functions print
    BROKEN = "broken"  # it says that it is one, but is not whole, cannot be true, or is of a newer version
    ENORMOUS = "enormous"


Found = Report | InitReport | Record | Verdict

MARKS = ('"afterglow"', '"platform.report"', '"platform.initReport"', '"platform.restoreReport"')


def read_message(message: str) -> Found:
    """Return what the message holds."""
    if message.startswith("REPORT "):
        return report_of_text(message) or Verdict.BROKEN
    if message.startswith(("INIT_REPORT ", "RESTORE_REPORT ")):
        return init_report_of_text(message) or Verdict.BROKEN
    marked = any(mark in message[:200] for mark in MARKS)
    if not marked or not message.lstrip().startswith("{"):
        return Verdict.OTHER
    if len(message) > MAX_CHARACTERS:
        return Verdict.ENORMOUS
    try:
        document = json.loads(message)
    except (ValueError, RecursionError):
        return Verdict.BROKEN
    return _read_document(document)


def _read_document(document: object) -> Found:
    if not isinstance(document, dict):
        return Verdict.OTHER
    if document.get("type") == "platform.report":
        return report_of_json(document) or Verdict.BROKEN
    if document.get("type") in ("platform.initReport", "platform.restoreReport"):
        return init_report_of_json(document) or Verdict.BROKEN
    if "afterglow" not in document:
        return Verdict.OTHER
    try:
        record = from_document(document)
    except (RecordError, RecursionError):
        return Verdict.BROKEN
    return record if is_plausible(record) else Verdict.BROKEN
