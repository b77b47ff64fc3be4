"""How much may wait for a sink that one can do without. In: a number of bytes, an age. Out: what is beyond them.

A sink without an allowance loses nothing, and while it is dead the outbox grows until the disk is full.
"""

from typing import NamedTuple, Protocol, runtime_checkable

CHECK_S = 1.0
"""How often what waits is measured."""

MB = 1024 * 1024
HOUR_MS = 3_600_000


class Allowance(NamedTuple):
    """The most that may wait: on disk, entries of other sinks among them; and how old it may be. None: no limit."""

    most_bytes: int | None = None
    most_age_ms: int | None = None

    def before_ms(self, wall_s: float, *, fails: bool) -> float:
        """Return the time before which entries are too old; a sink that does not fail may have late ones."""
        return wall_s * 1000 - self.most_age_ms if self.most_age_ms is not None and fails else float("-inf")

    @property
    def reason(self) -> str:
        """What entries are given up for."""
        limits = (
            None if self.most_bytes is None else f"queue-mb={self.most_bytes // MB}",
            None if self.most_age_ms is None else f"queue-hours={self.most_age_ms // HOUR_MS}",
        )
        return "beyond " + " or ".join(filter(None, limits))


UNLIMITED = Allowance()


@runtime_checkable
class Measured(Protocol):
    """An outbox that knows what its entries take."""

    def last_seq_beyond(self, most_bytes: int | None) -> int:
        """Return the last number that has to go for all after it to take ``most_bytes`` at most; 0 if none has."""
