"""What of a batch was not taken, and why: a few lines in words, all of them in numbers.

In: lines that were refused. Out: how many by reason, and the first of them with their words. Bounded, whatever a
sender sends: to find the words for a line takes ten times what reading a good one does.
"""

import re
from typing import NamedTuple

from afterglow.records import RecordError
from afterglow.records import decode as strict_decode

TOO_OLD, FROM_THE_FUTURE, TOO_LONG, INVALID, UNREAD = "too old", "from the future", "too long", "invalid", "unread"
"""Reasons, as they are counted."""

MAX_TOLD = 20
"""Refusals that are put into words."""

MAX_INVALID = 500
"""Lines of a batch that may be no records; what comes behind them is not looked at. A sender has gone wrong, or means
no good, and each such line takes as long as five good ones."""


class Refusal(NamedTuple):
    """Why one line was not taken. Lines count from 1; ``field`` is None when the line as such is wrong."""

    line: int
    field: str | None
    reason: str


class Refusals:
    """The refusals of one batch. ``unread_from`` is the first line that was not looked at any more."""

    def __init__(self) -> None:
        self.told: list[Refusal] = []
        self.counts: dict[str, int] = {}
        self.unread_from: int | None = None

    def __len__(self) -> int:
        """Return how many lines were not taken."""
        return sum(self.counts.values())

    @property
    def too_many(self) -> bool:
        """Say whether to give the rest of the batch up."""
        return self.counts.get(INVALID, 0) >= MAX_INVALID

    def add(self, reason: str, number: int, field: str | None, words: str) -> None:
        """Note a line that is refused for what it is."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        if len(self.told) < MAX_TOLD:
            self.told.append(Refusal(number, field, f"{reason}: {words}"))

    def add_invalid(self, number: int, line: bytes, objection: Exception) -> None:
        """Note a line that is no record, in words if they will be told."""
        self.counts[INVALID] = self.counts.get(INVALID, 0) + 1
        if len(self.told) < MAX_TOLD:
            self.told.append(worded(number, line, objection))

    def leave(self, first: int, lines: int) -> None:
        """Give up the rest."""
        if lines:
            self.counts[UNREAD] = lines
            self.unread_from = first


_FIELD = re.compile(r'field ["`](\w{1,64})["`]|at `\$\.(\w{1,64})')
_MEMBER = re.compile(r"at `\$\[(\d{1,3})\]")


def worded(number: int, line: bytes, objection: Exception) -> Refusal:
    """Word the objection as ``records.decode`` would, which knows kinds and fields; else as msgspec did."""
    reason = "nested too deeply" if isinstance(objection, RecursionError) else str(objection)
    member = _MEMBER.search(reason)
    try:
        record = strict_decode(line)
        if member is not None:  # of a row that only our limits refuse: after kind and version come the fields
            return Refusal(number, record._fields[int(member[1]) - 2], reason[:300])
    except RecordError as error:
        reason = str(error)
    except (UnicodeDecodeError, RecursionError):
        pass
    field = _FIELD.search(reason)
    return Refusal(number, next(filter(None, field.groups())) if field else None, reason[:300])
