"""What one metric amounts to in one window: a ``Distribution`` (percentiles survive) or a ``Total``.

In: values, one at a time, in the metric's unit. Out: integer thousandths of that unit, and SEH1 bins.
Both merge exactly: a value is rounded once, on entry, to a whole number of thousandths; from there on there
are only integer additions, minima and maxima, so neither order nor partition changes a result
(docs/decisions/0002-integer-sums.md).

SEH1 is the CloudWatch agent's own binning: bin k holds 1.1**k ≤ v < 1.1**(k+1), zero has a bin apart, and a
bin is published as its geometric middle. Worst error 4.9 %, for values of a thousandth of the unit and above.

Refused, with ``False`` for an answer: negatives (CloudWatch has no percentiles for them), NaN, infinities and
what exceeds MAX_VALUE. What is refused leaves no trace here; the caller counts it.
"""

from bisect import bisect_right
from math import exp, log

MAX_VALUE = 10**12
"""In the metric's unit: 31 years of milliseconds, an exabyte of megabytes. Above it a value is a bug."""

LOWEST_BIN = -73  # holds 0.001, the smallest value that is not zero
HIGHEST_BIN = 289  # holds MAX_VALUE
ZERO_BIN = LOWEST_BIN - 1
MAX_BINS = HIGHEST_BIN - ZERO_BIN + 1
"""364: no distribution can have more bins, whatever it is fed."""


def lower_edge_milli(bin_number: int) -> int:
    """Return the smallest whole number of thousandths in the bin: ceil(1000 · 1.1**k), in exact arithmetic.

    Edges are integers rather than logarithms because log() may differ by one bit between machines, and
    x86_64 and arm64 environments must bin alike. bisect_right costs as much as log() does: 0.1 µs.
    """
    power: int = abs(bin_number)
    above: int = 11**power if bin_number >= 0 else 10**power
    below: int = 10**power if bin_number >= 0 else 11**power
    return -(-1000 * above // below)


_EDGES = [lower_edge_milli(k) for k in range(LOWEST_BIN, HIGHEST_BIN + 1)]


def bin_of(milli: int) -> int:
    """Return the SEH1 bin of a number of thousandths, floor(ln(v) / ln 1.1), or ZERO_BIN."""
    return ZERO_BIN + bisect_right(_EDGES, milli)


def middle_of(bin_number: int) -> float:
    """Return the value that stands for a bin, in the metric's unit: exp((k + 0.5) · ln 1.1), or zero.

    To four significant digits: more of them would only cost bytes in every log line.
    """
    return 0.0 if bin_number == ZERO_BIN else float(f"{exp((bin_number + 0.5) * log(1.1)):.4g}")


class Total:
    """A sum, for counts and for what only its sum is asked of."""

    __slots__ = ("known", "sum_milli")

    def __init__(self) -> None:
        self.sum_milli = 0
        self.known = False  # until the first value: a total that nobody added to is no zero

    def add(self, value: float) -> bool:
        """Take one value in; False if it is refused."""
        if not 0 <= value <= MAX_VALUE:  # also what NaN comes to
            return False
        self.sum_milli += round(value * 1000)
        self.known = True
        return True

    def absorb(self, other: "Total") -> None:
        """Add another total to this one."""
        self.sum_milli += other.sum_milli
        self.known = self.known or other.known


class Distribution:
    """Count, sum, min, max and SEH1 bins of a metric's values."""

    __slots__ = ("bins", "max_milli", "min_milli", "sum_milli")

    def __init__(self) -> None:
        self.bins: dict[int, int] = {}
        self.sum_milli = 0
        self.min_milli = 1000 * MAX_VALUE  # until the first value, so that the add path needs no special case
        self.max_milli = 0

    def add(self, value: float) -> bool:
        """Take one value in; False if it is refused. 0.4 µs: this is the collector's innermost call."""
        if not 0 <= value <= MAX_VALUE:  # also what NaN comes to
            return False
        milli = round(value * 1000)
        bin_number = ZERO_BIN + bisect_right(_EDGES, milli)
        bins = self.bins
        bins[bin_number] = bins.get(bin_number, 0) + 1
        self.sum_milli += milli
        if milli < self.min_milli:  # noqa: PLR1730 - min() and max() add 0.1 µs to the innermost call
            self.min_milli = milli
        if milli > self.max_milli:  # noqa: PLR1730
            self.max_milli = milli
        return True

    def absorb(self, other: "Distribution") -> None:
        """Add another distribution to this one."""
        bins = self.bins
        for bin_number, count in other.bins.items():
            bins[bin_number] = bins.get(bin_number, 0) + count
        self.sum_milli += other.sum_milli
        self.min_milli = min(self.min_milli, other.min_milli)
        self.max_milli = max(self.max_milli, other.max_milli)

    def count(self) -> int:
        """Return how many values there are."""
        return sum(self.bins.values())

    def points(self) -> list[tuple[float, int]]:
        """Return (value, count) per bin, ascending, in the metric's unit.

        A bin's middle may lie outside of what was seen; pulling it to min or max only brings it nearer to the
        values it stands for, and makes a distribution of one value exact.
        """
        low, high = self.min_milli / 1000, self.max_milli / 1000
        return [(min(max(middle_of(k), low), high), self.bins[k]) for k in sorted(self.bins)]

    def percentile(self, fraction: float) -> float | None:
        """Return the nearest-rank percentile (0.5 is the median), within 5 %; None if there are no values."""
        rank = fraction * self.count()
        seen = 0
        for value, count in self.points():
            seen += count
            if seen >= rank:
                return value
        return None
