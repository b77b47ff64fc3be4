"""The sink ``cloudwatch-logs``: EMF and findings into a log group, where CloudWatch turns EMF into metrics.

In: entries. Out: PutLogEvents calls. Group and stream are created when AWS says that they are not there, and
the group's retention is set then, if one was asked for; an existing group's retention is left alone.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from afterglow_collector.sinks.aws import MakeClient, code_of, is_stale, made, verdict
from afterglow_collector.sinks.contract import LINES, Entry, SinkBatch, SinkRefused, SinkRetry
from afterglow_collector.sinks.log_batches import event_of, plan_calls

LOG = logging.getLogger(__name__)

RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""What PutRetentionPolicy takes (its API reference)."""


class CloudWatchLogs:
    """Writes into one stream. Give each collector process a stream of its own."""

    def __init__(
        self,
        make_client: MakeClient,
        group: str,
        stream: str,
        retention_days: int | None = None,
        kinds: frozenset[str] = LINES,
    ) -> None:
        self.name = f"cloudwatch-logs {group}/{stream}"
        self.kinds = kinds
        self.group = group
        self.stream = stream
        self.retention_days = retention_days
        self._make_client = make_client
        self._client: Any = None

    def send(self, batch: SinkBatch) -> Mapping[str, int]:
        """Send the batch in as few calls as the limits allow; what has got through is not sent again."""
        calls, refused = plan_calls(batch.entries, batch.now_ms)
        for number, call in enumerate(calls):
            try:
                answer = self._put(call)
            except SinkRefused as no:
                if number == 0:
                    raise  # the courier halves the batch until it has found what spoils it
                raise _unfinished(no.reason, 0.0, calls[number:], refused) from no
            except SinkRetry as no:
                raise _unfinished(no.reason, no.after_s, calls[number:], refused) from no
            for reason, count in rejected(answer, len(call)).items():
                refused[reason] = refused.get(reason, 0) + count
        return refused

    def _put(self, call: list[Entry]) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - see sinks.aws

        try:
            return self._put_or_create(call)
        except (BotoCoreError, ClientError) as error:
            if code_of(error) == "DataAlreadyAcceptedException":
                return {}
            if is_stale(error):
                self._client = None
            raise verdict(error) from error

    def _put_or_create(self, call: list[Entry]) -> dict[str, Any]:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - see sinks.aws

        if self._client is None:
            self._client = made(self._make_client)
        request = {
            "logGroupName": self.group,
            "logStreamName": self.stream,
            "logEvents": [event_of(entry) for entry in call],
        }
        try:
            answer: dict[str, Any] = self._client.put_log_events(**request)
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
            self._create()
            answer = self._client.put_log_events(**request)
        return answer

    def _create(self) -> None:
        """Make the stream, and the group if that is missing: who may only make streams needs no more than that."""
        from botocore.exceptions import ClientError  # noqa: PLC0415 - see sinks.aws

        try:
            self._create_stream()
        except ClientError as error:
            if code_of(error) != "ResourceNotFoundException":
                raise
            self._create_group()
            self._create_stream()

    def _create_stream(self) -> None:
        self._creates(self._client.create_log_stream, logGroupName=self.group, logStreamName=self.stream)

    def _create_group(self) -> None:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - see sinks.aws

        made = self._creates(self._client.create_log_group, logGroupName=self.group)
        if not made or not self.retention_days:
            return
        try:
            self._client.put_retention_policy(logGroupName=self.group, retentionInDays=self.retention_days)
        except ClientError as error:  # the group is there: what it is for must not wait for how long it is kept
            LOG.warning("sink %s: the new group keeps its events for ever: %s", self.name, code_of(error))

    @staticmethod
    def _creates(create: Any, **names: str) -> bool:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - see sinks.aws

        try:
            create(**names)
        except ClientError as error:
            if code_of(error) != "ResourceAlreadyExistsException":
                raise
            return False
        return True


def _unfinished(
    reason: str, after_s: float | None, left: Iterable[list[Entry]], refused: Mapping[str, int]
) -> SinkRetry:
    """Return the answer that leaves the rest for later, so that nothing is sent twice."""
    remaining = sorted((entry for call in left for entry in call), key=lambda entry: entry.seq)
    return SinkRetry(reason, after_s=after_s, remaining=remaining, refused=refused)


def rejected(answer: Mapping[str, Any], events: int) -> dict[str, int]:
    """Return what PutLogEvents left out of a call it accepted, by reason, from its rejectedLogEventsInfo.

    Its events are in the order of their timestamps: old and expired ones end before an index, new ones start
    at one (API reference, RejectedLogEventsInfo: the ends are exclusive).
    """
    info = answer.get("rejectedLogEventsInfo") or {}
    old, expired = info.get("tooOldLogEventEndIndex", 0), info.get("expiredLogEventEndIndex", 0)
    counts = {
        "rejected-expired": expired,
        "rejected-too-old": max(0, old - expired),
        "rejected-too-new": events - info.get("tooNewLogEventStartIndex", events),
    }
    return {reason: count for reason, count in counts.items() if count}
