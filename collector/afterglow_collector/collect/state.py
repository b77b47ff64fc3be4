"""What the collector knows: a pure function of the journal's entries, in their order.

In: entries. Out: verdicts, and what is ready to be published. Nothing here looks at a clock or a file, so a
replay after a crash leads to the same state and makes the same output again.
"""

from typing import Any, NamedTuple

import msgspec

from afterglow.records import Environment, Finding
from afterglow.window import MINUTE_MS
from afterglow_collector.collect.batch_ids import BatchIds, Verdict
from afterglow_collector.collect.digest import Digest
from afterglow_collector.collect.entries import FOREVER, Close
from afterglow_collector.collect.findings import Findings
from afterglow_collector.collect.windows import Closed, Windows

STATE_VERSION = 3
SITES_KEPT_MS = 14 * 86_400_000


class StateError(Exception):
    """A checkpoint that this version, or these settings, cannot go on from: says why."""


class StateDamagedError(StateError):
    """A checkpoint that is whole and makes no sense: says what does not."""


class Rules(NamedTuple):
    """The settings that the state depends on."""

    metrics: frozenset[str]
    grace_ms: int
    ids_kept_ms: int
    max_environments: int


class Publication(NamedTuple):
    """What came of a Close."""

    lsn: int
    now_ms: int
    closed: Closed
    findings: list[tuple[int, str]]


class State:
    """``lsn`` is that of the last entry that is in it.

    ``steady_ms`` is how long collectors have worked on it, as Closes tell: what is forgotten for its age is so by this
    clock, which no wrong time of day moves.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.lsn = 0
        self.closed_before = 0
        self.steady_ms = 0
        self.records = 0
        self.batches = 0
        self.ids = BatchIds(rules.ids_kept_ms, rules.max_environments)
        self.windows = Windows(rules.metrics)
        self.findings = Findings()

    def over_before(self, now_ms: int) -> int:
        """Return the first minute that is not over yet: its end plus the grace lies ahead."""
        return (now_ms - self.rules.grace_ms) // MINUTE_MS

    def something_to_close(self, before: int) -> bool:
        """Say whether closing the minutes before this one would publish anything."""
        oldest = self.windows.oldest()
        return (oldest is not None and oldest < before) or self.findings.changed()

    def apply_batch(self, lsn: int, seq: int, received_ms: int, digest: Digest) -> Verdict:
        """Take a batch in, unless it is in already."""
        self.lsn = lsn
        verdict = self.ids.add(identity(digest.environment), seq, self.steady_ms)
        if verdict is not Verdict.NEW:
            return verdict
        self.batches += 1
        self.records += digest.records
        self.windows.add(digest, self.over_before(received_ms))
        for record in digest.others:
            if isinstance(record, Finding):
                self.findings.add(digest.environment.function, record, self.steady_ms)
        return verdict

    def apply_close(self, lsn: int, close: Close) -> Publication:
        """Close minutes, and forget whoever has been silent for long enough."""
        self.lsn = lsn
        self.steady_ms += close.steady_ms
        if close.before != FOREVER:
            self.closed_before = close.before
        closed = self.windows.take_before(close.before)
        told = self.findings.take_changed()
        self.ids.forget_silent(self.steady_ms)
        self.findings.forget_silent(self.steady_ms - SITES_KEPT_MS)
        return Publication(lsn, close.now_ms, closed, told)

    def to_plain(self) -> dict[str, Any]:
        """Return all of it as plain values, fit for MessagePack. Large arrays are shared, and never change."""
        return {
            "v": STATE_VERSION,
            "closed_before": self.closed_before,
            "steady_ms": self.steady_ms,
            "records": self.records,
            "batches": self.batches,
            "ids": self.ids.to_plain(),
            "windows": self.windows.to_plain(),
            "findings": self.findings.to_plain(),
        }

    @classmethod
    def from_plain(cls, rules: Rules, lsn: int, plain: dict[str, Any]) -> "State":
        """Return the state of a checkpoint, a new one if it is empty; StateError or StateDamagedError if it is none."""
        state = cls(rules)
        if not plain:
            return state
        if plain.get("v") != STATE_VERSION:
            raise StateError(f"the checkpoint has version {plain.get('v')!r}; this is version {STATE_VERSION}")
        try:
            state._restore(lsn, plain)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise StateDamagedError(f"the checkpoint is not one of this version: {error!r}") from None
        return state

    def _restore(self, lsn: int, plain: dict[str, Any]) -> None:
        self.lsn = lsn
        self.closed_before, self.steady_ms, self.records, self.batches = (
            _whole(plain[name]) for name in ("closed_before", "steady_ms", "records", "batches")
        )
        self.ids.restore(msgspec.convert(plain["ids"], dict[str, tuple[int, int, int]]))
        self.findings.restore(plain["findings"])
        windows = Windows.from_plain(plain["windows"])
        if windows.metrics == self.rules.metrics:
            self.windows = windows
        elif windows.oldest() is not None:
            raise StateError("the set of metrics was changed while minutes were open; set it back, and stop in order")


def identity(environment: Environment) -> str:
    """Return what a batch's number is of. A token that is bound to a function touches no other's."""
    return f"{environment.env_id} {environment.function}"


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no whole number from 0")
    return value
