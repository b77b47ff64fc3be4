"""What the extension told of each environment, from the file that AFTERGLOW_RECORDS_FILE names; and whether it adds up.

In: NDJSON. Out: one Told per environment, in the order in which they started.
"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple, TypeVar

from afterglow.records import (
    Ending,
    Environment,
    Finding,
    Footprint,
    Init,
    Invocation,
    Loss,
    Record,
    Sample,
    Shutdown,
    decode,
    encode,
    kind_of,
)

R = TypeVar("R")

AFTER_THE_LEDGER = (Loss, Shutdown)
"""Told once the ledger is closed, so not in it."""


class Told(NamedTuple):
    """All records of one environment."""

    environment: Environment
    records: list[Record]

    def of(self, kind: type[R]) -> list[R]:
        return [record for record in self.records if isinstance(record, kind)]

    @property
    def init(self) -> Init:
        (init,) = self.of(Init)
        return init

    @property
    def invocations(self) -> list[Invocation]:
        return self.of(Invocation)

    @property
    def statuses(self) -> list[str]:
        return [invocation.status for invocation in self.invocations]

    @property
    def endings(self) -> list[Ending]:
        return self.of(Ending)

    @property
    def losses(self) -> dict[str, Loss]:
        return {loss.of: loss for loss in self.of(Loss)}

    @property
    def dropped(self) -> dict[str, dict[str, int]]:
        """What is said to be lost, by kind and reason."""
        return {loss.of: loss.dropped for loss in self.of(Loss) if loss.dropped}

    def __str__(self) -> str:
        quiet = (Sample, Footprint, Finding)
        lines = [encode(record) for record in self.records if not isinstance(record, quiet)]
        return "\n".join([encode(self.environment), *lines])


def read_told(path: Path) -> list[Told]:
    """Return what was told so far; nothing where no environment has got as far as telling anything."""
    told: list[Told] = []
    for line in path.read_text().splitlines() if path.exists() else []:
        record = decode(line)
        if isinstance(record, Environment):
            told.append(Told(record, []))
        else:
            told[-1].records.append(record)
    return told


def assert_adds_up(told: Told) -> None:
    """Each kind of record: seen = emitted + dropped, and what is said to be emitted is what we have got."""
    for loss in told.of(Loss):
        assert loss.seen == loss.emitted + sum(loss.dropped.values()), str(told)
    got = Counter(kind_of(record) for record in told.records if not isinstance(record, AFTER_THE_LEDGER))
    said = Counter[str]()
    for loss in told.of(Loss):
        said[loss.of] += loss.emitted
    assert dict(got) == {kind: count for kind, count in said.items() if kind in got}, str(told)


def assert_each_once(told: Told) -> None:
    """No invocation has two records; indices count up from 1."""
    assert [*range(1, len(told.invocations) + 1)] == sorted(each.index for each in told.invocations), str(told)
    ids = Counter(each.request_id for each in told.invocations)
    assert {1} >= {*ids.values()}, str(told)
    assert {1} >= {*Counter(each.request_id for each in told.endings).values()}, str(told)
