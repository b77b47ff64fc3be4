"""Turns what was seen into records. In: events, facts, looks, clocks as arguments. Out: records, in order.

Pure but for its memory: one invocation at a time (Managed Instances: several), forgotten once it is told.
Times called ``…_ns`` are CLOCK_MONOTONIC; ``at_ms`` is Unix time.
"""

from typing import Any, NamedTuple

from afterglow.freeze import FrozenTime
from afterglow.platform import Said
from afterglow.records import Ending, Init, Invocation, Report
from afterglow.running import Closing, Context, Exit, Running, ending_of, invocation_of, judge

MOST_INVOCATIONS = 64  # open at once; past this the oldest is told as it stands
REPORT_WITHIN_NS = 1_000_000_000  # awake; Lambda buffers telemetry for at least 25 ms, and a freeze holds it back
REPORT_ALONE_WITHIN_NS = 3_000_000_000  # Managed Instances, where we let it be buffered for a second
MOST_UNINVITED = 16  # that the hook has told of and INVOKE has not: Lambda sends it first, we read it a little later
MOST_EARLY = 64  # invocations that the platform has spoken of, and nobody else yet
MOST_TOLD = 256  # whose ids are remembered
MOST_MS = 1e9  # twelve days: what takes longer, or less than no time, was said by somebody who makes it up


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


class Recorder:
    """What is known of this environment's Init and of its running invocations."""

    def __init__(self, boot: Boot, frozen: FrozenTime, memory_mb: int | None = None, *, on_demand: bool = True) -> None:
        self.boot = boot
        self.frozen = frozen
        self.memory_mb = memory_mb
        self.on_demand = on_demand
        self.reports_alone = False  # Managed Instances: a report, and no runtimeDone before it
        self.hello: dict[str, Any] | None = None
        self.hook_gave_up = False  # it has switched itself off: nobody will say when a handler returns
        self.process_started_ns: int | None = None  # of the runtime, from /proc, in ticks of 10 ms
        self.init_fact: dict[str, Any] | None = None
        self.init_said: dict[str, Any] = {}
        self.init_told = False
        self.running: dict[str, Running] = {}
        self.said_early: dict[str, dict[str, Any]] = {}
        self.invited_early: dict[str, str | None] = {}  # request id → trace
        self.told: dict[str, bool] = {}  # the latest ids → whether the platform has said all that it has to say
        self.said_late: dict[str, dict[str, Any]] = {}  # of invocations that are told
        self.closing: Closing | None = None
        self.exited: Exit | None = None  # what Init called that ends its process
        self.count = 0
        self.uninvited = 0  # begun without INVOKE, which has not come since
        self.first_invoked_ns = 0
        self.last_returned_ns: int | None = None
        self.hook_ms = 0.0

    def invited(self, request_id: str, trace: str | None) -> None:
        """Note that INVOKE has been read, and its trace; facts that have overtaken it wait for that."""
        running = self.running.get(request_id)
        if running is None and request_id in self.told:
            self.uninvited = max(0, self.uninvited - 1)
        if running is not None:
            self.uninvited -= not running.is_invited
            running.is_invited, running.trace = True, trace
        elif request_id not in self.told and len(self.invited_early) < MOST_EARLY:
            self.invited_early[request_id] = trace

    def may_begin(self, request_id: str) -> bool:
        """Return whether the hook's word is enough: of so many invocations, while INVOKE is on its way."""
        known = request_id in self.running or request_id in self.invited_early or request_id in self.said_early
        return known or self.uninvited < MOST_UNINVITED

    def begin(self, request_id: str, at_ns: int, agent_cpu_ms: float, *, invited: bool = True) -> Running:
        """Note INVOKE or the hook's ``entered``, whichever comes first; ``invited``: no INVOKE is still to come."""
        known = self.running.get(request_id)
        if known is not None:
            return known
        self.count += 1
        if self.count == 1:
            self.first_invoked_ns = at_ns
            if self.on_demand:
                self.frozen.exclude(0, at_ns)  # Init and the invocation that it is for are one stretch
        running = self.running[request_id] = Running(request_id, self.count, at_ns, agent_cpu_ms)
        running.platform.update(self.said_early.pop(request_id, {}))
        running.is_invited = invited or request_id in self.invited_early
        self.uninvited += not running.is_invited
        running.trace = self.invited_early.pop(request_id, None)
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

    def said(self, said: Said) -> bool:
        """Note what the platform says; False: of what has been told already, or of too many that nobody else knows."""
        if said.about in ("init", "restore"):
            self.init_said.update(said.fields)
            return not self.init_told
        if self.reports_alone and "platform_ms" in said.fields:
            said.fields["duration_ms"] = said.fields["platform_ms"]
        if said.about in self.running:
            self.running[said.about].platform.update(_worse(self.running[said.about].platform, said.fields))
            return True
        if said.about in self.told:
            return self._said_late(said)
        if len(self.said_early) >= MOST_EARLY:
            return False
        early = self.said_early.setdefault(said.about, {})
        early.update(_worse(early, said.fields))
        return True

    def _said_late(self, said: Said) -> bool:
        """Note what is said of an invocation that is told; False for what has been said before."""
        if self.told[said.about] or (said.about not in self.said_late and len(self.said_late) >= MOST_EARLY):
            return False
        self.said_late.setdefault(said.about, {}).update(said.fields)
        return True

    def reports(self, clock: Clock, *, final: bool = False) -> list[Report]:
        """Return what has been said late, once per invocation: when the platform is done, or the environment ends."""
        over = [about for about, fields in self.said_late.items() if final or "reported" in fields]
        reports = []
        for about in over:
            fields = self.said_late.pop(about)
            if about in self.told:
                self.told[about] = True
            known = {name: fields.get(name) for name in Report._fields[2:]}
            if any(value is not None for value in known.values()):
                reports.append(Report(round(clock.epoch_ms), about, **known))
        return reports

    def begin_the_unseen(self, at_ns: int, agent_cpu_ms: float, init_verdict: tuple[str, str] | None) -> None:
        """At the end: what the platform calls started has begun, though nobody else has seen it.

        ``init_verdict``: how the Init ended that it was waiting for, if that is what failed.
        """
        for request_id in [about for about, fields in self.said_early.items() if fields.get("started")]:
            running = self.begin(request_id, at_ns if init_verdict is None else self.boot.started_ns, agent_cpu_ms)
            running.verdict = init_verdict

    def worker_gone(self, pid: int, gone_ns: int, closing: Closing) -> None:
        """Note that one of several processes of the runtime has gone: what it was at is over, the others go on."""
        for running in self.running.values():
            if running.pid == pid and running.returned is None:
                running.gone_ns, running.closing = gone_ns, closing

    def has_told(self, request_id: str) -> bool:
        """Return whether the invocation is over and told: the hook's facts can overtake INVOKE by all of it."""
        return request_id in self.told

    def has_returned(self, request_id: str) -> bool:
        """Return whether the hook has seen the handler return, told or not."""
        running = self.running.get(request_id)
        return request_id in self.told or (running is not None and running.returned is not None)

    def anybody_runs(self) -> bool:
        """Return whether a handler has been entered and has not returned."""
        return any(running.returned is None for running in self.running.values())

    def awaits_report(self) -> bool:
        """Return whether the platform still owes the report of an invocation that is open."""
        return not all(self._platform_is_done(running) for running in self.running.values())

    def _platform_is_done(self, running: Running) -> bool:
        """Return whether report and runtimeDone are there; batches can overtake one another."""
        said = running.platform
        return "reported" in said and (self.reports_alone or "runtime_done" in said)

    def init(self, clock: Clock, *, patient: bool = False) -> Init | None:
        """Return the Init record, once; ``patient``: the platform may have its say first."""
        if self.init_told or (self.init_fact is None and not self.running and self.closing is None):
            return None
        if patient and self._platform_owes_init(clock.mono_ns):
            return None
        self.init_told = True
        boot, fact, hello, said = self.boot, self.init_fact, self.hello, self.init_said
        observed = {
            "extension_ms": (boot.registered_ns - boot.started_ns + boot.cpu_ns) / 1e6,
            "runtime_boot_ms": self._runtime_boot_ms(),
            "init_ms": (fact["at"] - boot.started_ns + boot.cpu_ns) / 1e6 if fact else None,
        }
        hooked = {
            "hook_ms": hello["took"] / 1e6 if hello else None,
            "import_ms": (fact["at"] - fact["from"]) / 1e6 if fact else None,
            "import_cpu_ms": fact["cpu"] / 1e6 if fact else None,
        }
        platform = {"init_ms": said.get("platform_init_ms"), "restore_ms": said.get("restore_ms")}
        figures: dict[str, Any] = {"restore_ms": None}
        sources: dict[str, str] = {}
        for source, group in (("observed", observed), ("hook", hooked), ("platform", platform)):
            for name, value in group.items():
                figures.setdefault(name, None)
                if value is not None and 0 <= value < MOST_MS:
                    figures[name], sources[name] = round(value, 3), source
        return Init(
            at_ms=clock.at_ms(boot.started_ns - boot.cpu_ns),
            phase=said.get("phase"),
            error_type=(fact["error"] if fact else None) or said.get("error_type"),
            sources=sources,
            **figures,
        )

    def _platform_owes_init(self, now_ns: int) -> bool:
        restored = self.init_said.get("init_type") == "snap-start"
        owed = {"platform_init_ms", "restore_ms"} if restored else {"platform_init_ms"}
        awake_ns = now_ns - self.first_invoked_ns - self.frozen.between_ns(self.first_invoked_ns, now_ns)
        return bool(owed - self.init_said.keys()) and (self.count < 2 or awake_ns < REPORT_WITHIN_NS)

    def _runtime_boot_ms(self) -> float | None:
        """Process start → hook. The kernel's start time is cut to 10 ms; CPU time narrows it down."""
        hello, started_ns = self.hello, self.process_started_ns
        if hello is None or started_ns is None or not hello["at"]:
            return None
        most_ms: float = (hello["at"] - started_ns) / 1e6
        cpu_ms: float = (hello["cpu"] - hello["took"]) / 1e6
        return min(max(cpu_ms, most_ms - 10), max(most_ms, 0.0))

    def tell(
        self, clock: Clock, agent_cpu_ms: float, *, before: int | None, patient: bool = False
    ) -> list[tuple[Invocation, Ending | None]]:
        """Return the invocations that are over, and forget them.

        ``before``: only those of a smaller index; None: the environment ends, all of them.
        ``patient``: those that the platform has not reported on yet can wait for it.
        """
        over = list(self.running.values())
        if before is not None:
            over = [running for running in over if running.index < before]
            if len(self.running) <= MOST_INVOCATIONS:
                over = [running for running in over if self._is_over(running, clock.mono_ns, patient=patient)]
        if not over:
            return []
        for running in over:
            del self.running[running.request_id]
            self.told[running.request_id] = self._platform_is_done(running)
        while len(self.told) > MOST_TOLD:
            del self.told[next(iter(self.told))]
        context = Context(
            hook_seen=self._hears_of_returns(),
            init_error=self.init_fact["error"] if self.init_fact else None,
            memory_mb=self.memory_mb,
            closing=self.closing,
            now_ns=clock.mono_ns,
        )
        return [self._told(running, clock, agent_cpu_ms, context) for running in over]

    def _is_over(self, running: Running, now_ns: int, *, patient: bool) -> bool:
        if not running.is_invited and self._awake_since_ns(running, now_ns) <= REPORT_WITHIN_NS:
            return False
        if self._platform_is_done(running):
            return running.returned is not None or not self._hears_of_returns() or running.gone_ns is not None
        if running.returned is None and self._hears_of_returns():
            return False
        within_ns = REPORT_ALONE_WITHIN_NS if self.reports_alone else REPORT_WITHIN_NS
        return not patient or self._awake_since_ns(running, now_ns) > within_ns

    def _awake_since_ns(self, running: Running, now_ns: int) -> int:
        """Return how long ago it returned, or began, less the frozen time."""
        since_ns: int = running.returned["at"] if running.returned is not None else running.invoked_ns
        return now_ns - since_ns - self.frozen.between_ns(since_ns, now_ns)

    def _hears_of_returns(self) -> bool:
        return self.hello is not None and not self.hook_gave_up

    def _told(
        self, running: Running, clock: Clock, agent_cpu_ms: float, context: Context
    ) -> tuple[Invocation, Ending | None]:
        verdict = judge(running, context)
        cpu_ms = None if self.reports_alone else agent_cpu_ms  # several at once share what we burn
        invocation = invocation_of(running, clock.at_ms(running.invoked_ns), cpu_ms, verdict)
        return invocation, ending_of(running, round(clock.epoch_ms), context, verdict)


def _worse(known: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """Return what is said, less a success where something else is known: an extension can fail after the runtime.

    runtimeDone and report both have a status, and batches can overtake one another.
    """
    if said.get("status") == "success" and known.get("status", "success") != "success":
        return {name: value for name, value in said.items() if name != "status"}
    return said
