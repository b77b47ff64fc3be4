"""The extension's loop: one thread, one ``poll``. In: Lambda's events and the hook's facts. Out: records.

The order in a turn matters. First the clock (a gap means that we were frozen), then Lambda's event, which is
answered with the next ``/next`` before anything else happens, then the hook's facts, and only then the rest.
"""

import json
import os
import select
import time
from typing import Any, NamedTuple

from afterglow import lifecycle, proc
from afterglow.boot import Handoff, say
from afterglow.callsite import CallSite, choose, read_dependencies
from afterglow.footprint import read_footprint
from afterglow.freeze import FrozenTime, window_at_work, window_of
from afterglow.inbox import Inbox
from afterglow.lifecycle import Event, State
from afterglow.lingering import Lingering
from afterglow.outlet import Embedded, Outlet, Outlets, RecordsFile, write_all
from afterglow.recorder import Boot, Clock, Recorder
from afterglow.records import Environment, Overhead, Sample, Shutdown
from afterglow.runtime_api import ApiError
from afterglow.sampler import Look, Sampler
from afterglow.settings import Settings
from afterglow.version import __version__

AFTER_RETURN_MS = 1.0  # short enough to tell when the freeze began; grows while none comes
IDLE_MOST_MS = 1000.0
WATCHING_MOST_MS = 50.0  # while lingering work is open
SHUTDOWN_DRAIN_MS = 20  # facts that a dying runtime has sent are in the socket already


def agent_cpu_ms() -> float:
    """Return this process's CPU since it started."""
    return time.process_time_ns() / 1e6


class Checkpoint(NamedTuple):
    """Clocks that only make sense together: what we did, and what we waited for a CPU to do."""

    mono_ns: int
    cpu_ns: int
    run_delay_ns: int


def checkpoint() -> Checkpoint:
    """Read the clocks."""
    return Checkpoint(time.monotonic_ns(), time.process_time_ns(), int((proc.read_run_delay_ms() or 0.0) * 1e6))


class Agent:
    """One execution environment, from register to SHUTDOWN."""

    def __init__(self, handoff: Handoff, settings: Settings, environ: dict[str, str]) -> None:
        self.api = handoff.api
        self.early = handoff.early
        self.settings = settings
        self.environ = environ
        self.identity = json.loads(handoff.identity)
        self.env_id = os.urandom(8).hex()
        self.frozen = FrozenTime()
        boot = Boot(handoff.started_mono_ns, handoff.boot_cpu_ns, handoff.registered_mono_ns)
        self.recorder = Recorder(boot, self.frozen)
        self.lingering = Lingering(self.env_id, self.frozen, self._choose)
        self.inbox = Inbox(handoff.listener)
        self.sampler = Sampler(settings.sample_ms, settings.sample_max_ms)
        self.state = State.STARTED
        self.runtime_pid: int | None = None
        self.task_root = ""
        self.dependencies: frozenset[str] | None = None
        self.outlets: Outlets | None = None
        self.footprint_due = True
        self.told_cpu_ms = 0.0
        self.bytes_out = 0
        self.wait_ms = AFTER_RETURN_MS
        self.checked = Checkpoint(boot.registered_ns, boot.cpu_ns, 0)
        self.current: str | None = None

    # -- the loop --------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Turn until SHUTDOWN."""
        for body, at_ns in self.early:
            self._read_facts()
            self._on_event(json.loads(body), at_ns)
        while self.state != State.DONE:
            self._turn()

    def _turn(self) -> None:
        slept = self._check_frozen_at_work()
        ready = self._wait(self.wait_ms)
        woke = self.checked = checkpoint()
        starved_ns = woke.run_delay_ns - slept.run_delay_ns
        self.frozen.add(window_of(slept.mono_ns, int(self.wait_ms * 1e6), woke.mono_ns, starved_ns))
        event = self._receive_event() if self.api.sock.fileno() in ready else None
        self._read_facts()
        if event is not None:
            self._on_event(event, woke.mono_ns)
        elif not ready:
            self._on_tick()

    def _wait(self, timeout_ms: float) -> set[int]:
        poller = select.poll()
        for descriptor in (self.api.sock.fileno(), *self.inbox.descriptors()):
            poller.register(descriptor, select.POLLIN)
        return {descriptor for descriptor, _ in poller.poll(timeout_ms)}

    def _check_frozen_at_work(self) -> Checkpoint:
        now, before = checkpoint(), self.checked
        cpu_ns, delay_ns = now.cpu_ns - before.cpu_ns, now.run_delay_ns - before.run_delay_ns
        self.frozen.add(window_at_work(before.mono_ns, now.mono_ns, cpu_ns, delay_ns))
        self.checked = now
        return now

    def _receive_event(self) -> dict[str, Any] | None:
        self.api.read_once()
        answer = self.api.take()
        if answer is None:
            return None
        if answer.status != 200:
            raise ApiError(f"/next was answered {answer.status}: {answer.body[:200]!r}")
        event: dict[str, Any] = json.loads(answer.body)
        if event.get("eventType") != Event.SHUTDOWN:
            self.api.send_next()
        return event

    # -- Lambda's events -------------------------------------------------------------------------------------

    def _on_event(self, event: dict[str, Any], woke_ns: int) -> None:
        kind = event.get("eventType")
        if kind == Event.INVOKE:
            self._on_invoke(str(event.get("requestId")), woke_ns)
        elif kind == Event.SHUTDOWN:
            self._on_shutdown(str(event.get("shutdownReason")), woke_ns)
        else:
            self._out().ledger.see("event")
            self._out().ledger.drop("event", f"unknown-{str(kind)[:40]}")

    def _on_invoke(self, request_id: str, woke_ns: int) -> None:
        cpu_ms = agent_cpu_ms()
        running = self.recorder.begin(request_id, woke_ns, cpu_ms)
        self.lingering.began(request_id, running.index, running.invoked_ns)
        if running.returned is None:  # the hook's facts can overtake INVOKE
            self._begin_running(request_id)
        self._tell(before=running.index)
        self._out().flush(round(time.time() * 1000))
        if running.index > 1:  # where every freeze comes at once, there is no quieter moment
            self._tell_footprint()

    def _begin_running(self, request_id: str) -> None:
        self.state = lifecycle.advance(self.state, Event.INVOKE)
        self.current = request_id
        self.sampler.start()
        self.wait_ms = self.sampler.interval_ms

    def _on_shutdown(self, reason: str, woke_ns: int) -> None:
        self._wait(SHUTDOWN_DRAIN_MS) if self.inbox.peers else None
        self._read_facts()
        now = self._clock()
        left = self.lingering.open_count()
        self.lingering.close(why_lost(reason), woke_ns)
        self._settle()
        self._tell(before=None)
        self._tell_losses(now)
        took_ms = round((time.monotonic_ns() - woke_ns) / 1e6, 3)
        self._out().accept(Shutdown(round(now.epoch_ms), reason, left, took_ms))
        self._out().flush(round(now.epoch_ms), final=True)
        self.state = lifecycle.advance(self.state, Event.SHUTDOWN)

    # -- the hook's facts ------------------------------------------------------------------------------------

    def _read_facts(self) -> None:
        for pid, fact in self.inbox.read():
            getattr(self, "_on_fact_" + fact["t"].replace("-", "_"))(pid, fact)
        self.inbox.hung_up.clear()

    def _on_fact_hello(self, pid: int, fact: dict[str, Any]) -> None:
        self.recorder.hello = fact
        self.runtime_pid = pid
        self.task_root = fact["root"] or ""
        stat = proc.read_stat(pid)
        if stat is not None:
            boot_offset_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
            self.recorder.process_started_ns = int(stat.start_ms * 1e6) - boot_offset_ns

    def _on_fact_init(self, pid: int, fact: dict[str, Any]) -> None:
        self.recorder.init_fact = fact
        proc.reset_peak_rss(pid)

    def _on_fact_entered(self, pid: int, fact: dict[str, Any]) -> None:
        self._check_frozen_at_work()
        running = self.recorder.begin(fact["id"], fact["at"], agent_cpu_ms())
        self.lingering.began(fact["id"], running.index, min(fact["at"], running.invoked_ns))
        if self.current != fact["id"] and running.returned is None:
            self._begin_running(fact["id"])
        self._take_works(pid, fact)
        self.lingering.live_on()
        self._settle()

    def _on_fact_returned(self, pid: int, fact: dict[str, Any]) -> None:
        running = self.recorder.returned(fact)
        self.frozen.not_before(fact["at"])
        self._take_works(pid, fact)
        self._settle()
        if fact["unlooked"]:
            self._out().ledger.see("finding", fact["unlooked"])
            self._out().ledger.drop("finding", "too-many-to-look-at", fact["unlooked"])
        if running is None:
            return
        running.seen = self._seen_at_return(pid)
        self.state = lifecycle.advance(self.state, Event.RETURNED)
        self.wait_ms = AFTER_RETURN_MS
        proc.reset_peak_rss(pid)

    def _on_fact_found(self, pid: int, fact: dict[str, Any]) -> None:
        for announced in fact["new"]:
            self.lingering.announce(pid, announced)
        for cancelled in fact["lost"]:
            self.lingering.cancelled(pid, cancelled)

    def _on_fact_ended(self, pid: int, fact: dict[str, Any]) -> None:
        self.lingering.end(pid, fact["w"], fact["at"], fact["cpu"])

    def _on_fact_gave_up(self, pid: int, fact: dict[str, Any]) -> None:
        del pid
        self.recorder.hook_gone = True
        self._out().ledger.see("fact")
        self._out().ledger.drop("fact", f"hook-gave-up: {fact['error']}")

    def _take_works(self, pid: int, fact: dict[str, Any]) -> None:
        for work, cpu_ns, moved in fact["works"]:
            self.lingering.update(pid, work, cpu_ns, bool(moved))

    # -- ticks -----------------------------------------------------------------------------------------------

    def _on_tick(self) -> None:
        now_ns = time.monotonic_ns()
        if self.state == State.RUNNING:
            self._sample(self.sampler.look(self.runtime_pid))
            self.wait_ms = self.sampler.interval_ms
            return
        self._watch_processes(now_ns)
        most_ms = WATCHING_MOST_MS if self.lingering.open_count() else IDLE_MOST_MS
        self.wait_ms = min(most_ms, self.wait_ms * 2)
        if self.state == State.GLOWING and self.wait_ms > AFTER_RETURN_MS * 4:
            self._tell_footprint()

    def _sample(self, look: Look) -> None:
        agent = look.agent
        running = self.recorder.running.get(self.current or "")
        self._out().accept(
            Sample(
                at_ms=round(time.time() * 1000, 3),
                request_index=running.index if running else None,
                function_rss_bytes=look.rss_bytes,
                function_cpu_ms=look.cpu_ms,
                agent_rss_bytes=agent.rss_bytes if agent else None,
                agent_cpu_ms=round(agent_cpu_ms(), 3),
                threads=look.tree[0].threads if look.tree else None,
                children=len(look.tree) - 1 if look.tree else None,
            )
        )

    def _seen_at_return(self, pid: int) -> dict[str, Any]:
        look = self.sampler.look(pid)
        self._sample(look)
        highest = proc.read_peak_rss_bytes(pid)
        children_rss = sum(stat.rss_bytes for stat in look.tree[1:])
        peaks = [peak for peak in (self.sampler.peak_rss_bytes, highest and highest + children_rss) if peak]
        return {
            "rss_bytes": look.rss_bytes,
            "peak_rss_bytes": max(peaks, default=None),
            "threads": look.tree[0].threads if look.tree else None,
            "fds": self.sampler.peak_fds,
            "children": len(look.tree) - 1 if look.tree else None,
            "tmp_bytes": proc.read_tmp_used_bytes(),
        }

    def _watch_processes(self, now_ns: int) -> None:
        for (owner, work), pid in self.lingering.open_pids():
            stat = proc.read_stat(pid)
            if stat is None or stat.state in proc.DEAD_STATES:
                self.lingering.vanish(owner, work, now_ns)
            else:
                self.lingering.update(owner, work, int((stat.user_ms + stat.system_ms) * 1e6), moved=False)

    # -- telling ---------------------------------------------------------------------------------------------

    def _tell(self, *, before: int | None) -> None:
        clock, cpu_ms = self._clock(), agent_cpu_ms()
        out = self._out()
        init = self.recorder.init(clock)
        if init is not None:
            out.accept(init)
        for invocation in self.recorder.tell(clock, cpu_ms, before=before):
            out.accept(invocation)
        agent = proc.read_stat(os.getpid())
        out.accept(
            Overhead(
                at_ms=round(clock.epoch_ms),
                agent_cpu_ms=round(cpu_ms - self.told_cpu_ms, 3),
                agent_rss_bytes=agent.rss_bytes if agent else None,
                hook_ms=round(self.recorder.hook_ms, 3),
                bytes_out=self.bytes_out,
            )
        )
        self.told_cpu_ms, self.recorder.hook_ms, self.bytes_out = cpu_ms, 0.0, 0

    def _tell_footprint(self) -> None:
        if self.footprint_due:
            self.footprint_due = False
            self._out().accept(read_footprint(self.runtime_pid, round(time.time() * 1000)))

    def _settle(self) -> None:
        clock = self._clock()
        for finding in self.lingering.settle(clock.mono_ns, round(clock.epoch_ms)):
            self._out().accept(finding)

    def _tell_losses(self, clock: Clock) -> None:
        out = self._out()
        out.ledger.see("fact", self.inbox.seen)
        for reason, count in self.inbox.dropped.items():
            out.ledger.drop("fact", reason, count)
        for loss in out.ledger.take(round(clock.epoch_ms)):
            out.accept(loss)

    def _out(self) -> Outlets:
        """Return the outlets; they are made when the first record is, since only then the runtime is known."""
        if self.outlets is None:
            environment = self._environment()
            outlets: list[Outlet] = [Embedded(self.settings, environment, self._print)]
            if self.settings.records_file:
                outlets.append(RecordsFile(self.settings.records_file, environment))
            self.outlets = Outlets(outlets)
        return self.outlets

    def _print(self, text: str) -> int:
        written = write_all(1, text)
        self.bytes_out += written
        return written

    def _environment(self) -> Environment:
        hello = self.recorder.hello
        memory = self.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        return Environment(
            env_id=self.env_id,
            function=str(self.identity.get("functionName") or "unknown"),
            version=str(self.identity.get("functionVersion") or "unknown"),
            memory_mb=int(memory) if memory.isdigit() else None,
            arch={"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
            init_type=self.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") or "on-demand",
            runtime=f"python{hello['python']}" if hello and hello["python"] else None,
            region=self.environ.get("AWS_REGION"),
            agent=__version__,
            started_at_ms=self._clock().at_ms(self.recorder.boot.started_ns),
        )

    def _clock(self) -> Clock:
        return Clock(time.monotonic_ns(), time.time() * 1000)

    def _choose(self, frames: list[list[object]]) -> CallSite | None:
        if self.dependencies is None:
            self.dependencies = read_dependencies(self.task_root) if self.task_root else frozenset()
        return choose(frames, self.dependencies, self.task_root)


def why_lost(reason: str) -> str:
    """Return what SHUTDOWN's reason means for work that was still going on; real Lambda's words and RIE's."""
    return {"timeout": "timeout", "failure": "crash", "releasefail": "crash"}.get(reason.lower(), "shutdown")


def announce(complaints: list[str]) -> None:
    """Say what is wrong with the settings, a line each."""
    for complaint in complaints:
        say(complaint)
