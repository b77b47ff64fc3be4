"""Turns what was seen into records. In: events, facts, looks, clocks as arguments. Out: records, in order.

Pure but for its memory: one invocation at a time (Managed Instances: several), forgotten once it is told.
Times called ``…_ns`` are CLOCK_MONOTONIC; ``at_ms`` is Unix time.
"""

from typing import Any, NamedTuple

from afterglow.freeze import FrozenTime
from afterglow.records import Init, Invocation

MOST_INVOCATIONS = 64  # open at once; past this the oldest is told as it stands


class Clock(NamedTuple):
    """One reading of both clocks, to place a monotonic time on the calendar."""

    mono_ns: int
    epoch_ms: float

    def at_ms(self, mono_ns: int) -> int:
        """Return the Unix time in ms of a monotonic time."""
        return round(self.epoch_ms - (self.mono_ns - mono_ns) / 1e6)


class Boot(NamedTuple):
    """The extension's own start."""

    started_ns: int
    cpu_ns: int  # burned before the first instruction of ours: launcher and interpreter
    registered_ns: int


class Running:
    """An invocation that has begun."""

    __slots__ = (
        "agent_cpu_from_ms",
        "frozen_ms",
        "index",
        "invoked_ns",
        "request_id",
        "returned",
        "seen",
        "told",
    )

    def __init__(self, request_id: str, index: int, invoked_ns: int, agent_cpu_ms: float) -> None:
        self.request_id = request_id
        self.index = index
        self.invoked_ns = invoked_ns
        self.agent_cpu_from_ms = agent_cpu_ms
        self.frozen_ms: float | None = None
        self.returned: dict[str, Any] | None = None
        self.seen: dict[str, Any] = {}  # what /proc showed: fields of Invocation


class Recorder:
    """What is known of this environment's Init and of its running invocations."""

    def __init__(self, boot: Boot, frozen: FrozenTime) -> None:
        self.boot = boot
        self.frozen = frozen
        self.hello: dict[str, Any] | None = None
        self.hook_gone = False  # it has switched itself off: nobody will say when a handler returns
        self.process_started_ns: int | None = None  # of the runtime, from /proc, in ticks of 10 ms
        self.init_fact: dict[str, Any] | None = None
        self.init_told = False
        self.running: dict[str, Running] = {}
        self.count = 0
        self.last_returned_ns: int | None = None
        self.hook_ms = 0.0

    def begin(self, request_id: str, at_ns: int, agent_cpu_ms: float) -> Running:
        """Note INVOKE or the hook's ``entered``, whichever comes first."""
        known = self.running.get(request_id)
        if known is not None:
            return known
        self.count += 1
        running = self.running[request_id] = Running(request_id, self.count, at_ns, agent_cpu_ms)
        since_ns = self.last_returned_ns if self.last_returned_ns is not None else self.boot.registered_ns
        running.frozen_ms = round(self.frozen.between_ns(since_ns, at_ns) / 1e6, 3)
        return running

    def returned(self, fact: dict[str, Any]) -> Running | None:
        """Note the hook's ``returned``."""
        running = self.running.get(fact["id"])
        if running is not None:
            running.returned = fact
            self.last_returned_ns = fact["at"]
            self.hook_ms += fact["own"] / 1e6
        return running

    def init(self, clock: Clock) -> Init | None:
        """Return the Init record, once."""
        if self.init_told or (self.init_fact is None and not self.running):
            return None
        self.init_told = True
        boot, fact, hello = self.boot, self.init_fact, self.hello
        figures: dict[str, float | None] = {
            "extension_ms": (boot.registered_ns - boot.started_ns + boot.cpu_ns) / 1e6,
            "runtime_boot_ms": self._runtime_boot_ms(),
            "hook_ms": hello["took"] / 1e6 if hello else None,
            "import_ms": (fact["at"] - fact["from"]) / 1e6 if fact else None,
            "import_cpu_ms": fact["cpu"] / 1e6 if fact else None,
            "init_ms": (fact["at"] - boot.started_ns + boot.cpu_ns) / 1e6 if fact else None,
        }
        sources = {
            name: "hook" if name in {"hook_ms", "import_ms", "import_cpu_ms"} else "observed"
            for name, value in figures.items()
            if value is not None
        }
        rounded = {name: None if value is None else round(value, 3) for name, value in figures.items()}
        return Init(
            at_ms=clock.at_ms(boot.started_ns - boot.cpu_ns),
            error_type=fact["error"] if fact else None,
            sources=sources,
            **rounded,
        )

    def _runtime_boot_ms(self) -> float | None:
        """Process start → hook. The kernel's start time is cut to 10 ms; CPU time narrows it down."""
        hello, started_ns = self.hello, self.process_started_ns
        if hello is None or started_ns is None or not hello["at"]:
            return None
        most_ms: float = (hello["at"] - started_ns) / 1e6
        cpu_ms: float = (hello["cpu"] - hello["took"]) / 1e6
        return min(max(cpu_ms, most_ms - 10), max(most_ms, 0.0))

    def tell(self, clock: Clock, agent_cpu_ms: float, *, before: int | None = None) -> list[Invocation]:
        """Return the invocations that are over and forget them: those of a smaller index than ``before``."""
        over = [running for running in self.running.values() if before is None or running.index < before]
        if before is not None and len(self.running) <= MOST_INVOCATIONS:
            over = [running for running in over if running.returned is not None or not self._is_hooked()]
        for running in over:
            del self.running[running.request_id]
        return [self._invocation(running, clock, agent_cpu_ms) for running in over]

    def _invocation(self, running: Running, clock: Clock, agent_cpu_ms: float) -> Invocation:
        fact = running.returned
        seen = running.seen
        duration_ms = (fact["at"] - fact["from"]) / 1e6 if fact else None
        cpu_ms = (fact["user"] + fact["system"]) * 1000 if fact else None
        wait_ms = None if duration_ms is None or cpu_ms is None else max(0.0, duration_ms - cpu_ms)
        hook = dict.fromkeys(("duration_ms", "cpu_user_ms", "cpu_system_ms", "wait_ms"), "hook") if fact else {}
        observed = {name: "observed" for name, value in seen.items() if value is not None}
        return Invocation(
            request_id=running.request_id,
            index=running.index,
            at_ms=clock.at_ms(running.invoked_ns),
            cold=running.index == 1,
            status=self._status(running),
            error_type=fact["error"] if fact else None,
            duration_ms=_rounded(duration_ms),
            cpu_user_ms=_rounded(fact["user"] * 1000) if fact else None,
            cpu_system_ms=_rounded(fact["system"] * 1000) if fact else None,
            wait_ms=_rounded(wait_ms),
            rss_bytes=seen.get("rss_bytes"),
            peak_rss_bytes=seen.get("peak_rss_bytes"),
            threads=seen.get("threads"),
            fds=seen.get("fds"),
            children=seen.get("children"),
            tmp_bytes=seen.get("tmp_bytes"),
            frozen_before_ms=running.frozen_ms,
            hook_ms=_rounded(fact["own"] / 1e6) if fact else None,
            agent_cpu_ms=_rounded(agent_cpu_ms - running.agent_cpu_from_ms),
            sources={**hook, **observed},
        )

    def _status(self, running: Running) -> str:
        if running.returned is not None:
            return "error" if running.returned["error"] else "ok"
        return "unfinished" if self._is_hooked() else "unknown"

    def _is_hooked(self) -> bool:
        return self.hello is not None and not self.hook_gone


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
