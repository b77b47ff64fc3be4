"""Sinks: where the collector's EMF, findings and records go. In: the outbox. Out: to the world.

contract → courier (backoff, breaker, cursor, counters) → runner, one for each sink; ``spec`` makes sinks from words.
docs/sinks.md is the user's side of it.
"""

from afterglow_collector.sinks.contract import Entry, Outbox, Sink, SinkBatch, SinkRefused, SinkRetry
from afterglow_collector.sinks.counters import SinkStatus
from afterglow_collector.sinks.policy import Policy
from afterglow_collector.sinks.runner import SinkRunner

__all__ = [
    "Entry",
    "Outbox",
    "Policy",
    "Sink",
    "SinkBatch",
    "SinkRefused",
    "SinkRetry",
    "SinkRunner",
    "SinkStatus",
]
