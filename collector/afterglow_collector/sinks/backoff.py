"""How long to wait before the next try. In: how many failed in a row, a random number. Out: seconds.

Full jitter: between nothing and the exponential limit, evenly. Of the schemes that AWS compared it does the
least work in all (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog).
"""

from typing import NamedTuple


class Backoff(NamedTuple):
    """The limits grow from ``base_s`` by doubling up to ``cap_s``."""

    base_s: float = 0.2
    cap_s: float = 30.0

    def wait_s(self, failures: int, random: float, asked_s: float | None = None) -> float:
        """Return the wait after so many failures in a row; ``random`` is in [0, 1).

        What the other side asked for is a floor, and jitter comes on top of it, lest all of us return at once.
        """
        doublings = min(failures - 1, 30)  # 2**30 is beyond any cap; 2**10_000 is beyond a float
        limit_s = min(self.cap_s, self.base_s * 2.0**doublings)
        return (asked_s or 0.0) + random * limit_s
