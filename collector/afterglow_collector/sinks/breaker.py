"""A circuit breaker: after many failures in a row, leave the other side alone, then ask with one entry.

In: what came of each try, and monotonic seconds. Out: whether to try, and how much. Backoff spaces the tries of
one batch; the breaker bounds what a dead sink costs, and makes the first try after it a small one.
"""

from enum import Enum
from typing import NamedTuple


class State(Enum):
    """The value is what metrics show."""

    CLOSED = 0  # all is well, or not yet bad enough
    PROBING = 1  # one entry is on its way
    OPEN = 2  # no tries until the cool-down is over


class Event(Enum):
    """What happens to a breaker."""

    SENT = "sent"
    FAILED = "failed"  # not yet too often
    TRIPPED = "tripped"  # failed too often
    COOLED = "cooled"


NEXT: dict[tuple[State, Event], State] = {
    (State.CLOSED, Event.SENT): State.CLOSED,
    (State.CLOSED, Event.FAILED): State.CLOSED,
    (State.CLOSED, Event.TRIPPED): State.OPEN,
    (State.OPEN, Event.COOLED): State.PROBING,
    (State.PROBING, Event.SENT): State.CLOSED,
    (State.PROBING, Event.FAILED): State.OPEN,
    (State.PROBING, Event.TRIPPED): State.OPEN,
}


class BreakerPolicy(NamedTuple):
    """When it trips, and for how long."""

    failures: int = 5  # in a row
    cool_down_s: float = 30.0


class Breaker:
    """The state of one sink's breaker."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self.policy = policy
        self.state = State.CLOSED
        self.failures = 0  # in a row
        self.opened = 0  # how often, in all
        self._closed_at_s = 0.0  # when an open breaker may be tried again

    def sent(self) -> None:
        """Note that a try succeeded, in part at least."""
        self.failures = 0
        self._turn(Event.SENT)

    def failed(self, now_s: float) -> None:
        """Note that a try failed."""
        self.failures += 1
        self._turn(Event.TRIPPED if self.failures >= self.policy.failures else Event.FAILED)
        if self.state is State.OPEN:
            self.opened += 1
            self._closed_at_s = now_s + self.policy.cool_down_s

    def wait_s(self, now_s: float) -> float:
        """Return how long there is to wait for the next try; 0 allows it, and may make it a probe."""
        if self.state is not State.OPEN:
            return 0.0
        if now_s < self._closed_at_s:
            return self._closed_at_s - now_s
        self._turn(Event.COOLED)
        return 0.0

    def _turn(self, event: Event) -> None:
        self.state = NEXT[self.state, event]
