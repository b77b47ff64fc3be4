"""Where records go. In: records. Out: EMF and findings on stdout, and a ledger that accounts for each record.

The embedded collector: Lambda sends an extension's stdout to the function's own log group, where CloudWatch
turns EMF into metrics: no egress, no permission, no call.
"""

import os
import time
from collections.abc import Callable
from typing import Protocol

from afterglow.aggregate import Aggregate
from afterglow.emf import Emitter, encode
from afterglow.records import Ending, Environment, Finding, Loss, Record, Sample, kind_of
from afterglow.records import encode as encode_record
from afterglow.settings import Settings

RECORDS_AT_ONCE = 100  # in one write to a file
OUT_OF_TIME = "no-time-left-at-shutdown"
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


def is_due(until_ns: int | None) -> bool:
    """Return whether there is no time left for more lines, at SHUTDOWN."""
    return until_ns is not None and time.monotonic_ns() >= until_ns


class Embedded:
    """Adds records up and prints EMF once per interval; prints each finding, and each loss, as a line of its own.

    Where nothing was lost, DroppedRecords says 0, and there is no line. At the end metrics and losses come first: for a
    function that leaves much behind, the two seconds of SHUTDOWN are too short for all findings at 128 MB.
    """

    def __init__(self, settings: Settings, environment: Environment, write: Callable[[str], int]) -> None:
        self.aggregate = Aggregate(settings.metrics)
        self.environment = environment
        self.emitter = Emitter(settings.namespace, settings.dimensions, settings.emf_values)
        self.findings = settings.findings
        self.interval_ms = settings.flush_seconds * 1000
        self.write = write
        self.flushed_at_ms = environment.started_at_ms
        self.until_ns: int | None = None  # monotonic: when there is no time any more
        self.found: list[Finding | Ending] = []
        self.losses: list[Loss] = []
        self.dropped: dict[str, int] = {}

    def accept(self, record: Record) -> None:
        """Add the record to its minute."""
        self.aggregate.add(self.environment, record)
        if self.findings and isinstance(record, (Finding, Ending)):
            self.found.append(record)
        elif isinstance(record, Loss) and record.dropped:
            self.losses.append(record)

    def flush(self, now_ms: int, *, final: bool) -> None:
        """Print findings at once, metrics when their interval has passed."""
        if final or now_ms - self.flushed_at_ms >= self.interval_ms:
            self.flushed_at_ms = now_ms
            output = encode(self.aggregate.take_all(), self.emitter, now_ms)
            self._drop("older-than-cloudwatch-takes", output.too_old)
            self._drop("newer-than-cloudwatch-takes", output.too_new)
            for line in output.lines:
                self._print(line)
        losses, self.losses = self.losses, []
        found, self.found = self.found, []
        for record in (*losses, *found):
            if is_due(self.until_ns) and not isinstance(record, Loss):
                self._drop(OUT_OF_TIME, 1)
            else:
                self._print(encode_record(record))

    def _print(self, line: str) -> None:
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
        self.environment = environment
        self.until_ns: int | None = None  # as in Embedded
        self.records: list[Record] = []
        self.dropped: dict[str, int] = {}

    def accept(self, record: Record) -> None:
        """Keep the record until the next flush."""
        if not isinstance(record, Sample):
            self.records.append(record)

    def flush(self, now_ms: int, *, final: bool) -> None:  # noqa: ARG002 - every flush writes everything
        """Print what there is, at the end findings last; what there was no time for is counted."""
        records, self.records = self.records, []
        if final:
            records.sort(key=_is_finding)
        for record in [self.environment, *records] if records else []:
            if is_due(self.until_ns) and _is_finding(record):
                self._drop(OUT_OF_TIME)
                continue
            try:
                self.write(encode_record(record) + "\n")
            except OSError as error:
                self._drop(f"stdout: {error.strerror}")

    def _drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def take_dropped(self) -> dict[str, int]:
        """Return what stdout did not take."""
        dropped, self.dropped = self.dropped, {}
        return dropped


class RecordsFile:
    """Appends each record to a file, one JSON object a line; a full disk is counted, never raised."""

    def __init__(self, path: str, environment: Environment) -> None:
        self.path = path
        self.until_ns: int | None = None  # as in Embedded
        self.records: list[Record] = [environment]
        self.dropped: dict[str, int] = {}

    def accept(self, record: Record) -> None:
        """Keep the record until the next flush."""
        self.records.append(record)

    def flush(self, now_ms: int, *, final: bool) -> None:  # noqa: ARG002 - every flush writes everything
        """Append what there is, at the end findings last; what there was no time for is counted."""
        records, self.records = self.records, []
        late = [record for record in records if _is_finding(record)] if final else []
        first = [record for record in records if not _is_finding(record)] if final else records
        if first:
            self._append(first)
        for start in range(0, len(late), RECORDS_AT_ONCE):
            if is_due(self.until_ns):
                self._drop(OUT_OF_TIME, len(late) - start)
                return
            self._append(late[start : start + RECORDS_AT_ONCE])

    def _append(self, records: list[Record]) -> None:
        text = "".join(f"{encode_record(record)}\n" for record in records)
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                write_all(fd, text)
            finally:
                os.close(fd)
        except OSError as error:
            self._drop(f"records file: {error.strerror}", len(records))

    def _drop(self, reason: str, count: int) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def take_dropped(self) -> dict[str, int]:
        """Return what the disk did not take."""
        dropped, self.dropped = self.dropped, {}
        return dropped


def _is_finding(record: Record) -> bool:
    return isinstance(record, Finding)


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

    def end_by(self, until_ns: int) -> None:
        """Divide the time that is left among the outlets that have a choice of what to leave out."""
        now_ns = time.monotonic_ns()
        timed = [outlet for outlet in self.outlets if isinstance(outlet, (Embedded, RecordLines, RecordsFile))]
        for number, outlet in enumerate(timed, 1):
            outlet.until_ns = now_ns + (until_ns - now_ns) * number // len(timed)

    def flush(self, now_ms: int, *, final: bool = False) -> None:
        """Let each outlet write what is due."""
        for outlet in self.outlets:
            outlet.flush(now_ms, final=final)
            for reason, count in outlet.take_dropped().items():
                self.ledger.see("output", count)
                self.ledger.drop("output", reason, count)
