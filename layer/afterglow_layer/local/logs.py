"""What the sandbox prints, sorted as it comes.

In: two pipes. Out: the function's lines, EMF lines, request ids. RIE puts the function's and the extensions'
output on its stdout, between its own START, END and REPORT lines, and its own log on stderr.
"""

import json
import re
import threading
from collections import deque
from collections.abc import Callable
from typing import IO

KEPT_LINES = 2000
LONGEST_LINE_BYTES = 1 << 20  # A CloudWatch Logs event ends there, too.

FUNCTION, PLATFORM, EMF, AGENT = "function", "platform", "emf", "agent"

_START = re.compile(r"START RequestId: ([0-9a-fA-F-]{36}) Version: ")
_PLATFORM = re.compile(r"(START|END|REPORT) RequestId: [0-9a-fA-F-]{36}(\s|$)")


def kind_of(line: str) -> str:
    """Return who a line of stdout belongs to."""
    if _PLATFORM.match(line):
        return PLATFORM
    if line.startswith("{"):
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            return FUNCTION
        if "_aws" in document:
            return EMF
        if "afterglow" in document:
            return AGENT
    return AGENT if line.startswith("afterglow: ") else FUNCTION


class Logs:
    """Reads RIE's two pipes until their end, each in a thread of its own."""

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        self.function: deque[str] = deque(maxlen=KEPT_LINES)
        self.agent: deque[str] = deque(maxlen=KEPT_LINES)
        self.rie: deque[str] = deque(maxlen=KEPT_LINES)
        self.emf: list[str] = []
        self._show = show
        self._started: list[str] = []
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []

    def follow(self, stdout: IO[bytes], stderr: IO[bytes], hear: Callable[[str], None] | None = None) -> None:
        """Begin to read; ``hear`` gets RIE's own lines, too."""

        def take_rie(line: str) -> None:
            self.rie.append(line)
            if hear:
                hear(line)

        for stream, take in ((stdout, self._take), (stderr, take_rie)):
            thread = threading.Thread(target=_read_lines, args=(stream, take), daemon=True)
            thread.start()
            self._threads.append(thread)

    def finish(self, limit_s: float = 5.0) -> None:
        """Wait until both pipes have come to their end."""
        for thread in self._threads:
            thread.join(limit_s)

    def starts(self) -> int:
        """Return how many invocations have started."""
        return len(self._started)

    def request_id_after(self, starts: int, limit_s: float) -> str | None:
        """Return the request id of the invocation that started when ``starts`` others had."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._started) > starts, limit_s)
            return self._started[starts] if len(self._started) > starts else None

    def last_of_rie(self, lines: int = 5) -> str:
        """Return RIE's last words."""
        return "\n".join(list(self.rie)[-lines:]) or "(it printed nothing)"

    def _take(self, line: str) -> None:
        started = _START.search(line)
        if started:  # Anywhere in the line: the function may have printed without a newline.
            with self._changed:
                self._started.append(started[1])
                self._changed.notify_all()
        kind = kind_of(line)
        if kind == EMF:
            self.emf.append(line)
        elif kind == AGENT:
            self.agent.append(line)
        elif kind == FUNCTION:
            self.function.append(line)
            if self._show:
                self._show(line)


def _read_lines(stream: IO[bytes], take: Callable[[str], None]) -> None:
    with stream:
        for line in iter(lambda: stream.readline(LONGEST_LINE_BYTES), b""):
            take(line.decode(errors="replace").rstrip("\r\n"))
