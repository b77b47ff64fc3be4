"""Which batches have been counted: each environment's highest number, and a bitmap of the 64 up to it.

In: (env_id, seq). Out: NEW, DUPLICATE, or TOO_FAR_BEHIND, when it can no longer be told.

A sender numbers its batches from 1 and keeps the number when it sends one again, so 64 batches of an environment
may be on their way at once, in any order. An environment that has not been heard of for the time to live is
forgotten, and so is the longest silent one when there are too many.
"""

from enum import Enum

import msgspec

BITMAP_BATCHES = 64
_BITMAP = (1 << BITMAP_BATCHES) - 1

MAX_SEQ = (1 << 53) - 1  # a whole number that every reader of JSON keeps exact


class Verdict(Enum):
    """What is known of a batch."""

    NEW = "new"
    DUPLICATE = "duplicate"
    TOO_FAR_BEHIND = "too far behind"


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One environment: bit i of ``bitmap`` stands for batch ``highest`` - i."""

    highest: int
    bitmap: int
    at_ms: int  # when its last batch was received


class BatchIds:
    """The memory for (env_id, seq). ``forgotten`` counts environments that had to make room."""

    def __init__(self, time_to_live_ms: int, max_environments: int) -> None:
        self.time_to_live_ms = time_to_live_ms
        self.max_environments = max_environments
        self.forgotten = 0
        self._seen: dict[str, Seen] = {}  # longest silent first

    def __len__(self) -> int:
        """Return how many environments are known."""
        return len(self._seen)

    def look(self, env_id: str, seq: int) -> Verdict:
        """Say what is known of a batch, and change nothing."""
        seen = self._seen.get(env_id)
        if seen is None or seq > seen.highest:
            return Verdict.NEW
        behind = seen.highest - seq
        if behind >= BITMAP_BATCHES:
            return Verdict.TOO_FAR_BEHIND
        return Verdict.DUPLICATE if seen.bitmap >> behind & 1 else Verdict.NEW

    def add(self, env_id: str, seq: int, now_ms: int) -> Verdict:
        """Note a batch as counted, if it is new; return what was known of it before."""
        verdict = self.look(env_id, seq)
        if verdict is not Verdict.NEW:
            return verdict
        seen = self._seen.pop(env_id, None)  # to stand at the end, with those heard of last
        if seen is None:
            self._make_room()
            self._seen[env_id] = Seen(seq, 1, now_ms)
        elif seq > seen.highest:
            ahead = seq - seen.highest
            bitmap = (seen.bitmap << ahead | 1) & _BITMAP if ahead < BITMAP_BATCHES else 1
            self._seen[env_id] = Seen(seq, bitmap, now_ms)
        else:
            self._seen[env_id] = Seen(seen.highest, seen.bitmap | 1 << seen.highest - seq, now_ms)
        return verdict

    def forget_silent(self, now_ms: int) -> None:
        """Forget the environments that have been silent for longer than the time to live."""
        for env_id, seen in list(self._seen.items()):
            if seen.at_ms >= now_ms - self.time_to_live_ms:
                return
            del self._seen[env_id]

    def to_plain(self) -> dict[str, Seen]:
        """Return a copy of what is known, longest silent first."""
        return self._seen.copy()

    def restore(self, plain: dict[str, tuple[int, int, int]]) -> None:
        """Begin with what ``to_plain`` returned."""
        self._seen = {env_id: Seen(*seen) for env_id, seen in plain.items()}

    def _make_room(self) -> None:
        while len(self._seen) >= self.max_environments:
            del self._seen[next(iter(self._seen))]
            self.forgotten += 1
