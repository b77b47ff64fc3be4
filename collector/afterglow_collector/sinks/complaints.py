"""What the log is told of one sink. In: what came of its tries, monotonic seconds. Out: words, now and then.

The first failure and the first refusal of a kind are told at once: a missing permission is seen on the first day.
What goes on so is told once in EVERY_S, with what came together meanwhile; and that all is well again, once.
"""

EVERY_S = 600.0
MOST_REASONS = 64  # that are kept apart: an unknown server's words may be part of one


class Complaints:
    """What has been told of one sink, and what has gathered since."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self.every_s = every_s
        self.failing_since_s: float | None = None
        self.reason = ""  # of the last failure
        self._failing_told_s: dict[str, float] = {}
        self._failures = 0  # in a row
        self._is_told = False  # that it fails
        self._refused: dict[str, int] = {}  # not told yet
        self._refused_told_s: dict[str, float] = {}

    def failed(self, reason: str, now_s: float) -> str | None:
        """Take note of a failed try; return what to say of it, if it is time."""
        if self.failing_since_s is None:
            self.failing_since_s = now_s
        self.reason = reason
        self._failures += 1
        if not self._due(self._failing_told_s, reason, now_s):
            return None
        self._is_told = True
        words = f"{reason}; what it has not taken waits, and is tried again"
        since_s = now_s - self.failing_since_s
        return words if self._failures == 1 else f"{words} ({self._failures} failures in {since_s:.0f} s)"

    def went_well(self, now_s: float) -> str | None:
        """Take note of a try that came through; return what to say if failures had been told before."""
        since_s, self.failing_since_s = self.failing_since_s, None
        failures, self._failures = self._failures, 0
        told, self._is_told = self._is_told, False
        if since_s is None or not told:
            return None
        return f"works again, after {now_s - since_s:.0f} s and {failures} failures"

    def refused(self, reason: str, entries: int, now_s: float) -> str | None:
        """Take note of entries that are given up; return what to say of those that have not been told."""
        self._refused[reason] = self._refused.get(reason, 0) + entries
        if not self._due(self._refused_told_s, reason, now_s):
            return None
        return f"{self._refused.pop(reason)} entries given up: {reason}"

    def overdue(self, now_s: float) -> list[str]:
        """Return what to say of entries that were given up a while ago, and not told for others just before."""
        due = [reason for reason in self._refused if self._due(self._refused_told_s, reason, now_s)]
        return [f"{self._refused.pop(reason)} more entries given up: {reason}" for reason in due]

    def _due(self, told_s: dict[str, float], reason: str, now_s: float) -> bool:
        """Return whether it is time to tell of this reason, and take it that it is told now."""
        if now_s - told_s.get(reason, float("-inf")) < self.every_s:
            return False
        if reason not in told_s and len(told_s) >= MOST_REASONS:
            told_s.clear()
        told_s[reason] = now_s
        return True
