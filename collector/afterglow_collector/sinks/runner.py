"""A thread for each sink. In: a sink, the outbox, a folder for its cursor. Out: the sink fed until it is stopped.

    runner = SinkRunner(sink, outbox, Path("state"))
    runner.start()          # goes on from the cursor
    runner.wake()           # there is something new in the outbox
    runner.status()         # for /metrics
    runner.stop(drain_s=5)  # False: some entries are left; they are sent after the next start

The outbox may be trimmed up to the lowest ``acknowledged_seq`` of all runners.
"""

import logging
import re
import threading
from hashlib import sha256
from pathlib import Path

from afterglow_collector.sinks.complaints import EVERY_S
from afterglow_collector.sinks.contract import Closable, Counting, Outbox, Sink
from afterglow_collector.sinks.counters import SinkStatus
from afterglow_collector.sinks.courier import Courier
from afterglow_collector.sinks.policy import Clocks, Policy

LOG = logging.getLogger(__name__)

GRACE_S = 15.0
"""How long ``stop`` waits for a try that is under way: sinks put a limit of 10 s on a call."""

MOST_NAME = 255  # bytes of a file's name


class SinkRunner:
    """Runs one sink's courier on a thread of its own."""

    def __init__(
        self,
        sink: Sink,
        outbox: Outbox,
        state_folder: Path,
        policy: Policy | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        self.name = sink.name
        self.courier = Courier(sink, outbox, cursor_path(state_folder, sink.name), policy, clocks)
        self._wake = threading.Event()
        self._stop_at_s: float | None = None  # monotonic; None: not asked to stop
        self._drained = False
        self._logged_s: dict[str, float] = {}  # kinds of bug
        self._thread = threading.Thread(target=self._run, name=f"sink {sink.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something in the outbox; a backoff goes on nevertheless."""
        self._wake.set()

    @property
    def acknowledged_seq(self) -> int:
        """The number of the last entry that this sink is done with, as it stands on disk, or would if that had room."""
        return self.courier.released_seq

    def status(self) -> SinkStatus:
        """Return how this sink is doing."""
        counters, sink = self.courier.counters, self.courier.sink
        return SinkStatus(
            self.name,
            self.acknowledged_seq,
            self.courier.breaker.state.value,
            self.courier.waiting_s(),
            counters.numbers(),
            dict(counters.failures),
            dict(counters.refused),
            dict(sink.counts()) if isinstance(sink, Counting) else {},
        )

    def trouble(self) -> str | None:
        """Return what is wrong with this sink, in a line without its address; None while it takes what there is."""
        complaints = self.courier.complaints
        since_s = complaints.failing_since_s
        if since_s is None:
            return None
        for_s = self.courier.clocks.monotonic_s() - since_s
        return f"sink {kind_of(self.name)} has been failing for {for_s:.0f} s: {complaints.reason}"

    def stop(self, drain_s: float = 0.0) -> bool:
        """Send what there is for up to ``drain_s`` seconds, then end; True if nothing is left."""
        self._stop_at_s = self.courier.clocks.monotonic_s() + drain_s
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(drain_s + GRACE_S)
        return self._drained

    def _run(self) -> None:
        try:
            while not self._over(wait_s := self._step()):
                if wait_s:
                    self._wake.wait(wait_s)
                    self._wake.clear()
        finally:
            if isinstance(self.courier.sink, Closable):
                self.courier.sink.close()

    def _step(self) -> float:
        try:
            return self.courier.step()
        except Exception as bug:  # This thread's outer guard: the entries stay, the others go on
            if self._log_bug(bug):
                LOG.exception("sink %s", self.name)
            return self.courier.stumbled(bug)

    def _log_bug(self, bug: Exception) -> bool:
        """Return whether this kind of bug has not been in the log for a while: a traceback each time would fill it."""
        now_s, kind = self.courier.clocks.monotonic_s(), type(bug).__name__
        if now_s - self._logged_s.get(kind, float("-inf")) < EVERY_S:
            return False
        self._logged_s[kind] = now_s
        return True

    def _over(self, wait_s: float) -> bool:
        if self._stop_at_s is None:
            return False
        now_s = self.courier.clocks.monotonic_s()
        self._drained = self.courier.idle
        return self._drained or now_s + wait_s > self._stop_at_s


def kind_of(sink_name: str) -> str:
    """Return the beginning of a sink's name, up to where it says which path, host or group: all may read this."""
    words = sink_name.split(" ")
    first = next((place for place, word in enumerate(words) if "/" in word or ":" in word), len(words))
    return " ".join(words[: max(first, 1)])


def cursor_path(folder: Path, sink_name: str) -> Path:
    """Return the file of a sink's cursor; one that an earlier version has named less distinctly is renamed."""
    path = folder / cursor_name(sink_name)
    legible = _legible(sink_name) + ".cursor"
    if len(legible) < MOST_NAME and not path.exists() and (folder / legible).is_file():
        (folder / legible).rename(path)
    return path


def cursor_name(sink_name: str) -> str:
    """Return the file's name for a sink's cursor: legible, and no other sink's."""
    return f"{_legible(sink_name)[:100]}-{sha256(sink_name.encode('utf-8', 'replace')).hexdigest()[:12]}.cursor"


def _legible(sink_name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", sink_name)
