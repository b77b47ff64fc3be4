"""What a courier has in hand: the rest of a batch, in parts, in order. In: entries, what came of a part. Out: the next.

A batch that is refused as a whole is cut in two again and again, until the entry is found that spoils it: some
2 log2(n) more tries, and the others are kept.
"""

from collections import deque
from collections.abc import Callable, Sequence

from afterglow_collector.sinks.contract import Entry


class Hand:
    """True while there is something in it."""

    def __init__(self) -> None:
        self._parts: deque[Sequence[Entry]] = deque()

    def __bool__(self) -> bool:
        return bool(self._parts)

    def take(self, entries: Sequence[Entry]) -> None:
        """Take one more batch."""
        if entries:
            self._parts.append(entries)

    def first(self, *, alone: bool = False) -> Sequence[Entry]:
        """Return the first part, which stays in hand; ``alone``: one entry of it."""
        part = self._parts[0]
        if alone and len(part) > 1:
            self._parts.popleft()
            self._parts.extendleft((part[1:], part[:1]))
        return self._parts[0]

    def settle(self, remaining: Sequence[Entry] = ()) -> None:
        """Let go of the first part, but for what remains of it."""
        self._parts.popleft()
        if remaining:
            self._parts.appendleft(remaining)

    def halve(self) -> bool:
        """Cut the first part in two; False for a single entry: it is let go of."""
        part = self._parts.popleft()
        middle = len(part) // 2
        if middle:
            self._parts.extendleft((part[middle:], part[:middle]))
        return bool(middle)

    def shed(self, is_kept: Callable[[Entry], bool]) -> int:
        """Let go of what is not kept of the first part, and return how much that was."""
        part = self._parts[0]
        kept = [entry for entry in part if is_kept(entry)]
        self.settle(kept)
        return len(part) - len(kept)

    def first_seq(self) -> int | None:
        """Return the lowest number in hand; None if there is nothing."""
        return min(entry.seq for entry in self._parts[0]) if self._parts else None
