"""How many windows there is room for, and whose: at the limit a noisy sender is held up, and not the others.

In: batches that are about to be taken, who sends them. Out: a Claim on the windows that each opens, or none.

A batch that opens no window is always taken. The others: up to half the limit all are, then each token has its share
of it. Where there is one token, or none, the last tenth is for functions that have a window open already.
"""

from collections.abc import Callable

import msgspec

from afterglow_collector.collect.digest import Digest
from afterglow_collector.collect.windows import Windows

KEPT_BACK = 10  # one part of so many


class Claim(msgspec.Struct, frozen=True, gc=False):
    """The minutes of which a batch will open a window, and whose batch it is."""

    sender: bytes
    minutes: list[int]


_NOTHING = Claim(b"", [])


class Room:
    """``senders`` returns how many tokens are in force. A claim is settled when its batch has been applied, or not."""

    def __init__(self, limit: int, senders: Callable[[], int]) -> None:
        self.limit = limit
        self._senders = senders
        self._claimed = 0  # by batches on their way to the disk
        self._held: dict[bytes, dict[int, int]] = {}  # windows by sender and minute

    def claim(self, windows: Windows, digest: Digest, sender: bytes) -> Claim | None:
        """Return a claim; None if there is no room for this batch."""
        minutes = windows.would_open(digest)
        if not minutes:
            return _NOTHING
        total, new = len(windows) + self._claimed + len(minutes), len(minutes)
        if total > self.limit:
            return None
        if total > self.limit // 2 and not self._has_a_share(windows, digest, sender, total, new):
            return None
        of_sender = self._held.setdefault(sender, {})
        for minute in minutes:
            of_sender[minute] = of_sender.get(minute, 0) + 1
        self._claimed += new
        return Claim(sender, minutes)

    def settle(self, claim: Claim, *, opened: bool) -> None:
        """Note what came of a claim."""
        self._claimed -= len(claim.minutes)
        of_sender = self._held.get(claim.sender)
        if opened or of_sender is None:
            return
        for minute in claim.minutes:
            if of_sender.get(minute, 0) > 0:
                of_sender[minute] -= 1

    def closed(self, before: int) -> None:
        """Forget who opened the windows of minutes that have been closed."""
        for sender, of_sender in list(self._held.items()):
            kept = {minute: count for minute, count in of_sender.items() if minute >= before}
            if kept:
                self._held[sender] = kept
            else:
                del self._held[sender]

    def _has_a_share(self, windows: Windows, digest: Digest, sender: bytes, total: int, new: int) -> bool:
        senders = self._senders()
        if senders > 1:
            return sum(self._held.get(sender, {}).values()) + new <= self.limit // senders
        return total <= self.limit - self.limit // KEPT_BACK or windows.knows(digest.environment)
