"""What becomes of work that went on after its handler had returned. In: the hook's facts. Out: findings.

Pure: clocks and frozen time come in as arguments. A piece of work is found once, then its outcome follows:
``done`` before the freeze, ``resumed`` in a later invocation, ``lost`` with the environment.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from afterglow.callsite import CallSite
from afterglow.freeze import FrozenTime
from afterglow.records import Finding

FINISHING_NS = 2_000_000
"""Work that is gone within 2 ms of the return, and with under 1 ms of CPU, was only on its way out."""
FINISHING_CPU_NS = 1_000_000
KEPT_BEGINNINGS = 256
CANCELLED = "cancelled by asyncio.run"
DESTROYED = "destroyed while it was pending"
MOST_PIECES = 1_000  # open at once; the hook finds 200 at a look
KILLING_NS = 2_000_000_000
"""Lambda and RIE take up to 2 s from the first SIGTERM to the extension's SHUTDOWN."""

Key = tuple[int, int]  # (pid, the hook's id)
_KEPT = ("what", "name", "id", "n", "state", "at", "jobs", "pid", "worker", "burned")  # of a fact


class Beginning(NamedTuple):
    """An invocation that began."""

    at_ns: int
    request_id: str
    index: int  # type: ignore[assignment]  # tuple.index is of no use to a record
    pid: int | None = None  # of its process, where several serve (Managed Instances)
    trace: str | None = None  # X-Ray trace header, if it is sampled


class Piece:
    """One piece of work, as far as it is known."""

    __slots__ = (
        "cpu_ns",
        "ended_ns",
        "ended_since_ns",
        "fact",
        "finding_id",
        "reason",
        "reported",
        "resumed",
        "revision",
        "site",
        "started_ms",
        "trace",
        "vanished_ns",
        "woke",
    )

    def __init__(self, finding_id: str, fact: dict[str, Any], site: CallSite | None, trace: str | None) -> None:
        self.finding_id = finding_id
        self.trace = trace
        self.fact = fact
        self.site = site
        self.cpu_ns: int | None = None
        self.ended_ns: int | None = None
        self.ended_since_ns: int | None = None  # it may have ended at any time since then
        self.started_ms: float | None = None  # a process: when the kernel says it started
        self.vanished_ns: int | None = None  # a process that is gone from /proc: ended, or killed with all others
        self.reason: str | None = None  # why it was lost
        self.woke = False  # it was seen to go on in a later invocation
        self.resumed: Beginning | None = None
        self.reported: set[str] = set()  # what has been counted already
        self.revision = 0


class Lingering:
    """All open pieces of work of this environment."""

    def __init__(
        self, prefix: str, frozen: FrozenTime, choose: Callable[[list[list[object]]], CallSite | None]
    ) -> None:
        self.prefix = prefix
        self.frozen = frozen
        self.choose = choose
        self.pieces: dict[Key, Piece] = {}
        self.beginnings: dict[str, Beginning] = {}  # by request id, in their order
        self.found = 0
        self.refused = 0  # pieces beyond MOST_PIECES that have not been told
        self._newest_ns = 0  # of all beginnings

    def began(self, request_id: str, index: int, at_ns: int, pid: int | None = None, trace: str | None = None) -> None:
        """Note that an invocation began; INVOKE and the hook both say so, the first one counts."""
        known = self.beginnings.get(request_id)
        if known is None:
            self.beginnings[request_id] = Beginning(at_ns, request_id, index, pid, trace)
            self._newest_ns = max(self._newest_ns, at_ns)
            if len(self.beginnings) > KEPT_BEGINNINGS:
                del self.beginnings[next(iter(self.beginnings))]
        elif trace is not None:  # INVOKE alone knows it
            self.beginnings[request_id] = known._replace(trace=trace)

    def announce(self, pid: int, fact: dict[str, Any]) -> bool:
        """Note work that the hook has just found; False if there is too much of it already."""
        if len(self.pieces) >= MOST_PIECES:
            self.refused += 1
            return False
        self.found += 1
        beginning = self.beginnings.get(fact["id"])
        trace = None if beginning is None else beginning.trace
        site = self.choose(fact["site"])
        kept = {name: fact[name] for name in _KEPT}
        self.pieces[pid, fact["w"]] = Piece(f"{self.prefix}-{self.found}", kept, site, trace)
        return True

    def update(self, pid: int, work: int, cpu_ns: int | None, moved: bool) -> None:
        """Note that work is still there; ``moved``: it goes on now, and does not merely exist."""
        piece = self.pieces.get((pid, work))
        if piece is not None:
            piece.cpu_ns = cpu_ns if cpu_ns is not None else piece.cpu_ns
            piece.woke = piece.woke or moved

    def end(self, pid: int, work: int, at_ns: int, cpu_ns: int | None, since_ns: int | None = None) -> None:
        """Note that work has ended; ``since_ns``: at some time since then, nobody saw when."""
        piece = self.pieces.get((pid, work))
        if piece is None or piece.ended_ns is not None:
            return
        if piece.vanished_ns is not None:  # a process whose end we have seen ourselves
            piece.ended_ns = min(at_ns, piece.vanished_ns)
        else:
            piece.ended_ns, piece.ended_since_ns = at_ns, since_ns
        piece.cpu_ns = cpu_ns if cpu_ns is not None else piece.cpu_ns

    def is_same(self, pid: int, work: int, started_ms: float, started_ns: int) -> bool:
        """Return whether the process is the one that the hook has found: the kernel gives pids out again.

        ``started_ms`` is its start after boot, cut to a tick; ``started_ns`` the same on CLOCK_MONOTONIC.
        """
        piece = self.pieces.get((pid, work))
        if piece is None:
            return False
        if piece.started_ms is None:
            if started_ns > piece.fact["at"]:
                return False  # younger than what was found
            piece.started_ms = started_ms
        return piece.started_ms == started_ms

    def burned(self, pid: int, work: int, cpu_ns: int) -> None:
        """Note the CPU of a process since it started: what it had taken before it was found is not counted."""
        piece = self.pieces.get((pid, work))
        if piece is not None and piece.fact["burned"] is not None:
            piece.cpu_ns = max(0, cpu_ns - piece.fact["burned"])

    def vanish(self, pid: int, work: int, at_ns: int) -> None:
        """Note that a process is gone; only if the environment lives on, it has ended by itself."""
        piece = self.pieces.get((pid, work))
        if piece is not None and piece.vanished_ns is None:
            piece.vanished_ns = at_ns

    def live_on(self) -> None:
        """Note that the environment is alive: what vanished was not killed with it."""
        for piece in self.pieces.values():
            if piece.ended_ns is None:
                piece.ended_ns = piece.vanished_ns

    def cancelled(self, pid: int, fact: dict[str, Any]) -> None:
        """Note a task that asyncio.run cut short: found, ended and lost in one."""
        fact = {**fact, "w": -self.found - 1, "what": "asyncio-task"}
        fact |= {"jobs": 1, "pid": None, "worker": None, "burned": None}
        if not self.announce(pid, fact):
            return
        piece = self.pieces[pid, fact["w"]]
        piece.ended_ns, piece.reason = fact["at"], fact.get("reason", CANCELLED)

    def close(self, reason: str, at_ns: int) -> None:
        """Note that the environment is gone: what had not ended is lost."""
        for piece in self.pieces.values():
            gone_ns = piece.vanished_ns
            if gone_ns is not None and (gone_ns < at_ns - KILLING_NS or self.frozen.lay_between(gone_ns, at_ns)):
                piece.ended_ns = gone_ns  # long before, or before a freeze: nobody has killed it
            if piece.ended_ns is None:
                piece.reason = reason

    def open_pids(self) -> list[tuple[Key, int]]:
        """Return the child processes among the open work, which the extension itself can watch."""
        return [
            (k, p.fact["pid"]) for k, p in self.pieces.items() if p.fact["pid"] and p.ended_ns is p.vanished_ns is None
        ]

    def open_count(self) -> int:
        """Return how many pieces have not ended."""
        return sum(piece.ended_ns is None for piece in self.pieces.values())

    def settle(self, now_ns: int, at_ms: int) -> list[Finding]:
        """Return what has become known since the last call, and forget what is over."""
        findings = []
        for key, piece in list(self.pieces.items()):
            over = piece.ended_ns is not None or piece.reason is not None
            self._resume(piece, key[0])
            changes = self._changes(piece)
            if over:
                del self.pieces[key]
            if changes and not (over and self._was_finishing(piece)):
                findings.append(self._finding(piece, changes, now_ns, at_ms))
        return findings

    def _resume(self, piece: Piece, pid: int) -> None:
        """Decide whether the work outlived the freeze, or went on into a later invocation without one."""
        if piece.resumed is not None or piece.reason in (CANCELLED, DESTROYED):
            return
        found_ns = piece.fact["at"]
        self._date_the_end(piece)
        later = None
        if self._newest_ns > found_ns:  # else there is none to be looked for
            later = next((b for b in self.beginnings.values() if b.at_ns > found_ns and b.pid in (None, pid)), None)
        ended_ns = piece.ended_ns
        if ended_ns is not None:
            outlived = self.frozen.lay_between(found_ns, ended_ns)
            if not outlived and (later is None or ended_ns < later.at_ns):
                return
        elif later is None or not piece.woke:
            return
        # Thawed by SHUTDOWN, it went on in nobody's invocation.
        piece.resumed = later if later is not None else Beginning(found_ns, "", 0)

    def _date_the_end(self, piece: Piece) -> None:
        """Of work that ended between two looks: it outlived a freeze that lay between them, or else was over soon."""
        since_ns, ended_ns = piece.ended_since_ns, piece.ended_ns
        if since_ns is None or ended_ns is None:
            return
        piece.ended_since_ns = None
        if not self.frozen.lay_between(since_ns, ended_ns):
            piece.ended_ns = since_ns

    @staticmethod
    def _changes(piece: Piece) -> list[str]:
        now = set()
        if piece.resumed is not None:
            now |= {"lingering", "resumed"}
        if piece.ended_ns is not None:
            now |= {"lingering", "ended"}
        if piece.reason is not None:
            now |= {"lingering", "lost"}
        return [change for change in ("lingering", "resumed", "lost", "ended") if change in now - piece.reported]

    @staticmethod
    def _was_finishing(piece: Piece) -> bool:
        return (
            piece.resumed is None
            and piece.reason is None
            and piece.ended_ns is not None
            and piece.ended_ns - piece.fact["at"] < FINISHING_NS
            and (piece.cpu_ns or 0) < FINISHING_CPU_NS
        )

    def _finding(self, piece: Piece, changes: list[str], now_ns: int, at_ms: int) -> Finding:
        piece.reported.update(changes)
        piece.revision += 1
        fact, site, resumed = piece.fact, piece.site, piece.resumed
        until_ns = piece.ended_ns if piece.ended_ns is not None else now_ns
        frozen_ns = self.frozen.between_ns(fact["at"], until_ns)
        return Finding(
            finding_id=piece.finding_id,
            revision=piece.revision,
            kind="lingering",
            what=fact["what"],
            name=fact["name"],
            file=site.file if site else None,
            line=site.line if site else None,
            function=site.function if site else None,
            request_id=fact["id"],
            request_index=fact["n"],
            state=fact["state"],
            outcome="lost" if piece.reason else "resumed" if resumed else "done" if piece.ended_ns else "open",
            reason=piece.reason,
            resumed_in=resumed.request_id or None if resumed else None,
            resumed_index=resumed.index or None if resumed else None,
            frozen_ms=round(frozen_ns / 1e6, 3),
            cpu_ms=None if piece.cpu_ns is None else round(piece.cpu_ns / 1e6, 3),
            wall_ms=round(max(0, until_ns - fact["at"] - frozen_ns) / 1e6, 3),
            jobs=fact["jobs"],
            at_ms=at_ms,
            changes=changes,
            returned_at_ms=round(at_ms - (now_ns - fact["at"]) / 1e6, 3),
            trace=piece.trace,
            worker=fact["worker"],
        )
