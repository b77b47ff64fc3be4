"""How much is measured. In: ``--quick`` or not. Out: numbers of rounds."""

from typing import NamedTuple

QUICK_SHARE = 10


class Effort(NamedTuple):
    """A full run, or a look whether the benchmark itself works."""

    quick: bool

    def rounds(self, full: int) -> int:
        """Return the number of rounds where a full run makes ``full``."""
        return max(4, full // QUICK_SHARE) if self.quick else full
