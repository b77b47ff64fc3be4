"""Which REPORT lines repeat one that came before. In: streams and request ids. Out: yes or no.

Lambda reports an invocation once; an asynchronous one that failed is tried again under the same id. A line that says
so once more may also be one that the function has printed itself: nothing in it would show that.
"""

MOST = 100_000  # of the latest; some 10 MB


class RecentReports:
    """The latest ids, of all streams."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._seen: dict[int, None] = {}

    def is_repeated(self, stream: str, request_id: str) -> bool:
        """Take note of a report; return whether this stream had one of the same id lately."""
        key = hash((stream, request_id))
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > self.most:
            del self._seen[next(iter(self._seen))]
        return False
