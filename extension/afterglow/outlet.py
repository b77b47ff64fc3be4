"""Where records go. In: records. Out: EMF and findings on stdout, and a ledger that accounts for each record.

The embedded collector: Lambda sends an extension's stdout to the function's own log group, where CloudWatch
turns EMF into metrics: no egress, no permission, no call.
"""

import os
from collections.abc import Callable
from typing import Protocol

from afterglow.aggregate import Aggregate
from afterglow.emf import Emitter, encode
from afterglow.records import Ending, Environment, Finding, Loss, Record, Sample, kind_of
from afterglow.records import encode as encode_record
from afterglow.settings import Settings

MOST_REASONS = 32  # of one kind, that are kept apart; some hold words of other processes
REASON_CHARACTERS = 200
OTHER_REASONS = "other-reasons"


class Outlet(Protocol):
    """Takes records in, gives lines out when it is told to."""

    def accept(self, record: Record) -> None:
        """Take one record."""

    def flush(self, now_ms: int, *, final: bool) -> None:
        """Write what is due; everything when this is the end."""

    def take_dropped(self) -> dict[str, int]:
        """Return how much could not be kept or written since the last call, by reason."""


def write_all(fd: int, text: str) -> int:
    """Write the whole text to a descriptor; return its bytes."""
    data = memoryview(text.encode())
    written = 0
    while written < len(data):
        written += os.write(fd, data[written:])
    return written


class Embedded:
    """Adds records up and prints EMF once per interval; prints each finding, and each loss, as a line of its own.

    Where nothing was lost, DroppedRecords says 0, and there is no line.
    """

    def __init__(self, settings: Settings, environment: Environment, write: Callable[[str], int]) -> None:
        self.aggregate = Aggregate(settings.metrics)
        self.environment = environment
        self.emitter = Emitter(settings.namespace, settings.dimensions, settings.emf_values)
        self.findings = settings.findings
        self.interval_ms = settings.flush_seconds * 1000
        self.write = write
        self.flushed_at_ms = environment.started_at_ms
        self.lines: list[str] = []
        self.dropped: dict[str, int] = {}

    def accept(self, record: Record) -> None:
        """Add the record to its minute."""
        self.aggregate.add(self.environment, record)
        found = self.findings and isinstance(record, (Finding, Ending))
        if found or (isinstance(record, Loss) and record.dropped):
            self.lines.append(encode_record(record))

    def flush(self, now_ms: int, *, final: bool) -> None:
        """Print findings at once, metrics when their interval has passed."""
        lines, self.lines = self.lines, []
        if final or now_ms - self.flushed_at_ms >= self.interval_ms:
            self.flushed_at_ms = now_ms
            output = encode(self.aggregate.take_all(), self.emitter, now_ms)
            lines += output.lines
            self._drop("older-than-cloudwatch-takes", output.too_old)
            self._drop("newer-than-cloudwatch-takes", output.too_new)
        for line in lines:
            try:
                self.write(line + "\n")  # one write per line: a log event must not be torn apart
            except OSError as error:
                self._drop(f"stdout: {error.strerror}", 1)

    def take_dropped(self) -> dict[str, int]:
        """Return what neither the aggregate nor stdout could take."""
        dropped, self.dropped = self.dropped, {}
        for reason, count in self.aggregate.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
        self.aggregate.dropped.clear()
        return dropped

    def _drop(self, reason: str, count: int) -> None:
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count


class RecordLines:
    """Prints each record as a line, for a log subscription to pick up; samples stay here.

    Every flush begins with the Environment: a reader of the log may have missed all that came before.
    """

    def __init__(self, environment: Environment, write: Callable[[str], int]) -> None:
        self.write = write
        self.head = encode_record(environment)
        self.lines: list[str] = []
        self.dropped: dict[str, int] = {}

    def accept(self, record: Record) -> None:
        """Keep the record until the next flush."""
        if not isinstance(record, Sample):
            self.lines.append(encode_record(record))

    def flush(self, now_ms: int, *, final: bool) -> None:  # noqa: ARG002 - every flush writes everything
        """Print what there is."""
        lines, self.lines = self.lines, []
        for line in [self.head, *lines] if lines else []:
            try:
                self.write(line + "\n")
            except OSError as error:
                reason = f"stdout: {error.strerror}"
                self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def take_dropped(self) -> dict[str, int]:
        """Return what stdout did not take."""
        dropped, self.dropped = self.dropped, {}
        return dropped


class RecordsFile:
    """Appends each record to a file, one JSON object a line; a full disk is counted, never raised."""

    def __init__(self, path: str, environment: Environment) -> None:
        self.path = path
        self.lines = [encode_record(environment)]
        self.dropped: dict[str, int] = {}

    def accept(self, record: Record) -> None:
        """Keep the record until the next flush."""
        self.lines.append(encode_record(record))

    def flush(self, now_ms: int, *, final: bool) -> None:  # noqa: ARG002 - every flush writes everything
        """Append what there is."""
        lines, self.lines = self.lines, []
        if not lines:
            return
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                write_all(fd, "\n".join(lines) + "\n")
            finally:
                os.close(fd)
        except OSError as error:
            reason = f"records file: {error.strerror}"
            self.dropped[reason] = self.dropped.get(reason, 0) + len(lines)

    def take_dropped(self) -> dict[str, int]:
        """Return what the disk did not take."""
        dropped, self.dropped = self.dropped, {}
        return dropped


class Ledger:
    """Per kind of record: seen = emitted + dropped. Deltas, so that they add up anywhere."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}
        self.dropped: dict[str, dict[str, int]] = {}

    def see(self, kind: str, count: int = 1) -> None:
        """Count what there was."""
        self.seen[kind] = self.seen.get(kind, 0) + count

    def drop(self, kind: str, reason: str, count: int = 1) -> None:
        """Count what did not get through."""
        reasons = self.dropped.setdefault(kind, {})
        reason = reason[:REASON_CHARACTERS]
        if reason not in reasons and len(reasons) >= MOST_REASONS:
            reason = OTHER_REASONS
        reasons[reason] = reasons.get(reason, 0) + count

    def take(self, at_ms: int) -> list[Loss]:
        """Return one Loss per kind since the last call."""
        losses = [
            Loss(at_ms, kind, seen, seen - sum(self.dropped.get(kind, {}).values()), self.dropped.get(kind, {}))
            for kind, seen in self.seen.items()
        ]
        self.seen, self.dropped = {}, {}
        return losses


class Outlets:
    """All outlets, and the ledger in front of them."""

    def __init__(self, outlets: list[Outlet]) -> None:
        self.outlets = outlets
        self.ledger = Ledger()

    def accept(self, record: Record) -> None:
        """Give the record to each outlet."""
        self.ledger.see(kind_of(record))
        for outlet in self.outlets:
            outlet.accept(record)

    def flush(self, now_ms: int, *, final: bool = False) -> None:
        """Let each outlet write what is due."""
        for outlet in self.outlets:
            outlet.flush(now_ms, final=final)
            for reason, count in outlet.take_dropped().items():
                self.ledger.see("output", count)
                self.ledger.drop("output", reason, count)
