"""The seam between the collector's outbox and what lies outside: what a sink is, what it gets, how it says no.

In: entries of the outbox. Out: to the outside world, or one of two exceptions. Everything that a sink may
have to say is here; when to try again, and what is remembered of it, is the runner's business.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

EMF, FINDING, RECORD = "emf", "finding", "record"
"""The kinds of entry. ``emf``: one EMF document. ``finding``: one JSON object. ``record``: a batch of records as
it came from its environment, NDJSON with the Environment on the first line, for sinks that show single invocations."""

LINES = frozenset((EMF, FINDING))
"""What a sink takes that writes lines into a log."""


UNMAKEABLE = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError)
"""What an entry may raise while it is made into a sink's form: it speaks of the entry, which will never be better."""

NOT_UTF8 = "not-utf-8"
"""Why a text with half a character (a lone surrogate) is refused."""


class Entry(Protocol):
    """One thing to be sent. Entries are numbered from 1 without gaps, in the order in which they were appended."""

    @property
    def seq(self) -> int:
        """Its number."""

    @property
    def kind(self) -> str:
        """One of the kinds above."""

    @property
    def at_ms(self) -> int:
        """When what it tells of happened: event time, Unix epoch."""

    @property
    def payload(self) -> str:
        """The text to be sent."""


class Outbox(Protocol):
    """Where entries wait on disk until every sink has them."""

    def read(self, after_seq: int, limit: int) -> Sequence[Entry]:
        """Return at most ``limit`` entries with a higher number, in order."""


class SinkBatch(NamedTuple):
    """What a sink is asked to send, in order, and what time it is (Unix epoch), for limits on age."""

    entries: Sequence[Entry]
    now_ms: int


class Sink(Protocol):
    """One place to send to. Called from one thread; its only other duty is to know its name and its kinds."""

    name: str
    kinds: frozenset[str]

    def send(self, batch: SinkBatch) -> Mapping[str, int]:
        """Send all of it, and return how many entries the other side will never take, by reason.

        SinkRetry: not now. SinkRefused: never. Whoever returns has the other side's word for the rest.
        """


@runtime_checkable
class Closable(Protocol):
    """A sink that holds something open."""

    def close(self) -> None:
        """Let go of it; ``send`` may open it again."""


@runtime_checkable
class Counting(Protocol):
    """A sink that counts what concerns it alone."""

    def counts(self) -> Mapping[str, int]:
        """Return its counts by name; they only grow."""


class SinkRetry(Exception):  # noqa: N818 - an answer, not an error in the program
    """Not now: the other side is away, slow, full, or does not believe us.

    ``remaining`` is what is left to send when a part got through (None: all of it), ``refused`` what was
    refused of that part, ``after_s`` how long the other side asked us to wait.
    """

    def __init__(
        self,
        reason: str,
        *,
        after_s: float | None = None,
        remaining: Sequence[Entry] | None = None,
        refused: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after_s = after_s
        self.remaining = remaining
        self.refused = refused or {}


class SinkRefused(Exception):  # noqa: N818 - as above
    """Never: the other side will not take this batch, however often it is sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
