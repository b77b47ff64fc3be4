"""Brings log messages from CloudWatch Logs. In: a client, names, a stretch of time. Out: events, page by page."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from afterglow_collector.logs.message import PATTERN


class LogEvent(NamedTuple):
    """One message, and where it lay."""

    stream: str
    at_ms: int
    message: str


def expand_groups(client: Any, asked: Sequence[str]) -> list[str]:
    """Return the log groups that the names stand for; one that ends in ``*`` stands for all that begin like it."""
    groups: dict[str, None] = {}
    for name in asked:
        groups.update(dict.fromkeys(_beginning_with(client, name[:-1]) if name.endswith("*") else [name]))
    return list(groups)


def _beginning_with(client: Any, prefix: str) -> Iterator[str]:
    request = {"logGroupNamePrefix": prefix} if prefix else {}
    for page in client.get_paginator("describe_log_groups").paginate(**request):
        for group in page["logGroups"]:
            yield group["logGroupName"]


def fetch_events(client: Any, group: str, from_ms: int, to_ms: int) -> Iterator[LogEvent]:
    """Return the events of [from_ms, to_ms) that may be reports or records, in the order of their timestamps.

    A page may be empty and yet not the last: FilterLogEvents gives what it has looked through in its time.
    """
    request = {"logGroupName": group, "filterPattern": PATTERN, "startTime": from_ms, "endTime": to_ms - 1}
    for page in client.get_paginator("filter_log_events").paginate(**request):
        for event in page["events"]:
            if from_ms <= event["timestamp"] < to_ms:  # whether endTime is inclusive, its reference leaves open
                yield LogEvent(event.get("logStreamName", ""), event["timestamp"], event.get("message", ""))


def architectures(client: Any) -> dict[str, str]:
    """Return the architecture of each function in the account and region, by name (lambda:ListFunctions)."""
    return {
        function["FunctionName"]: (function.get("Architectures") or ["x86_64"])[0]
        for page in client.get_paginator("list_functions").paginate()
        for function in page["Functions"]
    }
