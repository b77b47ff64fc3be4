"""One series' figures of one minute: what an aggregate holds, and what the EMF encoder writes.

In: values by metric name, through ``adder``, and other windows. Out: ``totals`` and ``distributions``.
"""

from collections.abc import Callable
from typing import NamedTuple

from afterglow.distribution import Distribution, Total
from afterglow.metrics import METRICS
from afterglow.records import Environment

MINUTE_MS = 60_000

Adder = Callable[[float], bool]
"""Takes one value in; False if it refuses it."""


class Series(NamedTuple):
    """Whose figures these are: the finest grain that can be published."""

    function: str
    version: str
    init_type: str
    memory_mb: int | None
    arch: str


def series_of(environment: Environment) -> Series:
    """Return the series that an environment's records belong to."""
    return Series(
        environment.function,
        environment.version,
        environment.init_type,
        environment.memory_mb,
        environment.arch,
    )


class Window:
    """A metric is in ``totals`` or in ``distributions``, as its shape says, or in neither."""

    __slots__ = ("adders", "distributions", "minute", "series", "totals")

    def __init__(self, minute: int, series: Series) -> None:
        self.minute = minute  # of event time, since the Unix epoch
        self.series = series
        self.totals: dict[str, Total] = {}
        self.distributions: dict[str, Distribution] = {}
        self.adders: dict[type, list[Adder]] = {}  # the aggregate's, by kind of record

    def adder(self, name: str) -> Adder:
        """Return what takes a value of this metric in."""
        if METRICS[name].shape == "count":
            return self.totals.setdefault(name, Total()).add
        return self.distributions.setdefault(name, Distribution()).add

    def absorb(self, other: "Window") -> None:
        """Add another window's figures to this one's; the other stays as it was."""
        for name, total in other.totals.items():
            self.totals.setdefault(name, Total()).absorb(total)
        for name, distribution in other.distributions.items():
            self.distributions.setdefault(name, Distribution()).absorb(distribution)
