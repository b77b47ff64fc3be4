"""What a sink has done so far, as plain numbers for /metrics. One thread writes them, any may read them."""

from dataclasses import dataclass, field
from typing import NamedTuple


class SinkStatus(NamedTuple):
    """One look at a sink: how far it is, and what its breaker says (0 closed, 1 probing, 2 open)."""

    name: str
    acknowledged_seq: int
    breaker: int
    waiting_s: float  # until its next try; 0 when it is not waiting
    counters: dict[str, int]
    failures: dict[str, int]  # tries that failed, by reason
    refused: dict[str, int]  # entries given up, by reason
    others: dict[str, int]  # what this kind of sink counts besides: spans that were not sampled, for one


@dataclass
class SinkCounters:
    """Only ever grow. seen = sent + refused + skipped + what is still on its way."""

    sent: int = 0  # entries that the other side has
    skipped: int = 0  # entries of kinds that this sink does not take
    missed: int = 0  # entries that were gone from the outbox before this sink came to them
    tries: int = 0
    cursor_errors: int = 0  # the disk did not take the cursor: after a restart, entries are sent again
    breaker_opened: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)

    def fail(self, reason: str) -> None:
        """Count a failed try."""
        self.failures[reason] = self.failures.get(reason, 0) + 1

    def refuse(self, reason: str, entries: int) -> None:
        """Count entries that are given up."""
        self.refused[reason] = self.refused.get(reason, 0) + entries

    def numbers(self) -> dict[str, int]:
        """Return the plain counters by name."""
        return {
            "sent": self.sent,
            "skipped": self.skipped,
            "missed": self.missed,
            "tries": self.tries,
            "cursor_errors": self.cursor_errors,
            "breaker_opened": self.breaker_opened,
        }
