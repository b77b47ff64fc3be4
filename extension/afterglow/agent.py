"""The extension's loop: one thread, one ``poll``. In: Lambda's events, the hook's facts, telemetry. Out: records.

The order in a turn matters. First the clock (a gap means that we were frozen), then Lambda's event, which is
answered with the next ``/next`` before anything else happens, then the facts, and only then the rest.
"""

import json
import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from afterglow import lifecycle, proc, stacks
from afterglow.boot import Handoff, say
from afterglow.callsite import CallSite, choose, is_dependency, read_dependencies
from afterglow.closing import closing_of, init_ending_of, init_verdict, read_file, why_lost
from afterglow.footprint import read_footprint
from afterglow.inbox import Inbox
from afterglow.lifecycle import Event, State
from afterglow.lingering import Lingering
from afterglow.listener import Listener
from afterglow.platform import translate
from afterglow.poller import Poller
from afterglow.recorder import Boot, Recorder
from afterglow.records import Record, Shutdown
from afterglow.running import WORKER_GONE, Closing, Running
from afterglow.runtime_api import ApiError
from afterglow.sampler import Look, Sampler
from afterglow.settings import Settings
from afterglow.teller import Teller, agent_cpu_ms, read_clock
from afterglow.watch import figures_at_return, sample_of, watch_processes

if TYPE_CHECKING:
    from afterglow.anatomy import Anatomy

AFTER_RETURN_MS = 1.0  # short enough to tell when the freeze began; grows while none comes
IDLE_MOST_MS = 1000.0
WATCHING_MOST_MS = 50.0  # while lingering work is open
WEIGHING_MOST_MS = 4.0  # between two steps of counting what lies on disk
SHUTDOWN_DRAIN_MS = 20  # facts that a dying runtime has sent are in the socket already
SHUTDOWN_REPORT_MS = 150  # how long SHUTDOWN waits for a report that the platform still owes
SHUTDOWN_MOST_MS = 2000.0  # Lambda's budget where it names no deadline
SHUTDOWN_SPARE_MS = 300.0
SHUTDOWN_STEP_MS = 20.0
STACKS_BEFORE_MS = 100.0  # before the deadline; in a short timeout, a tenth of it


class Agent:
    """One execution environment, from register to SHUTDOWN."""

    def __init__(self, handoff: Handoff, settings: Settings, environ: dict[str, str]) -> None:
        self.api = handoff.api
        self.early = handoff.early
        self.subscription = handoff.subscription
        self.gets_invokes = handoff.subscribed
        self.settings = settings
        env_id = os.urandom(8).hex()
        memory = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        boot = Boot(handoff.started_mono_ns, handoff.boot_cpu_ns, handoff.registered_mono_ns)
        self.poller = Poller(boot.registered_ns, boot.cpu_ns)
        self.frozen = self.poller.frozen
        on_demand = environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand") == "on-demand"
        memory_mb = int(memory) if memory.isdigit() else None
        self.recorder = Recorder(boot, self.frozen, memory_mb, on_demand=on_demand)
        self.recorder.reports_alone = not handoff.subscribed
        self.lingering = Lingering(env_id, self.frozen, self._choose)
        self.teller = Teller(
            settings, environ, json.loads(handoff.identity), env_id, read_clock().at_ms(boot.started_ns)
        )
        self.inbox = Inbox(handoff.listener)
        self.listener = Listener(self.subscription.listener if self.subscription is not None else None)
        self.sampler = Sampler(settings.sample_ms, settings.sample_max_ms)
        self.state = State.STARTED
        self.runtime_pid: int | None = None
        self.task_root = ""
        self.dependencies: frozenset[str] | None = None
        self.anatomy: Anatomy | None = None
        self.footprint_due = True
        self.wait_ms = AFTER_RETURN_MS
        self.current: Running | None = None
        self.deadline_ns: int | None = None
        self.stacks_due_ns: int | None = None
        self.stacks_of: Running | None = None  # whose the stacks are that we have asked for
        self.oom_kills_before = proc.read_oom_kills() or 0
        self.hung_up_ns: dict[int, int] = {}
        self.next_held = False
        self.hook_gone = False
        self.flush_due_ns = boot.registered_ns + settings.flush_seconds * 1_000_000_000

    # -- the loop --------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Turn until SHUTDOWN."""
        for body, at_ns in self.early:
            self._read_facts()
            self._on_event(json.loads(body), at_ns)
        while self.state != State.DONE:
            self._turn()

    def _turn(self) -> None:
        ready = self._wait(self._timeout_ms())
        woke_ns = self.poller.last.mono_ns
        event = self._receive_event() if self.api.sock.fileno() in ready else None
        self._read_facts()
        self._read_telemetry()
        if event is not None:
            self._on_event(event, woke_ns)
        if self.stacks_due_ns is not None and woke_ns >= self.stacks_due_ns:
            self._release_next()  # before the deadline, or a slow function would be ours to answer for
            self._ask_for_stacks()
        if not ready:
            self._on_tick()
        self.teller.ship(may_start=self.state == State.RUNNING)
        if self.settings.flush == "interval" and woke_ns >= self.flush_due_ns:
            self._flush_interval(woke_ns)

    def _flush_interval(self, now_ns: int) -> None:
        self.flush_due_ns = now_ns + self.settings.flush_seconds * 1_000_000_000
        self.teller.invocations(self.recorder, before=self.recorder.count + 1, patient=self._platform_reports())
        self.teller.flush(final=True)

    def _timeout_ms(self) -> float:
        due = [self.stacks_due_ns, self.flush_due_ns if self.settings.flush == "interval" else None]
        until_ms = [max(0.0, (due_ns - time.monotonic_ns()) / 1e6) for due_ns in due if due_ns is not None]
        return min([self.wait_ms, *until_ms])

    def _wait(self, timeout_ms: float) -> set[int]:
        descriptors = [self.api.sock.fileno(), *self.inbox.descriptors(), *self.listener.descriptors()]
        if self.subscription is not None and self.subscription.sock is not None:
            descriptors.append(self.subscription.sock.fileno())
        return self.poller.wait(descriptors, timeout_ms, self.teller.poll_for())

    def _receive_event(self) -> dict[str, Any] | None:
        self.api.read_once()
        answer = self.api.take()
        if answer is None:
            return None
        if answer.status != 200:
            raise ApiError(f"/next was answered {answer.status}: {answer.body[:200]!r}")
        event: dict[str, Any] = json.loads(answer.body)
        if event.get("eventType") != Event.SHUTDOWN:
            self._answer_or_hold(str(event.get("requestId")))
        return event

    def _answer_or_hold(self, request_id: str) -> None:
        """Send ``/next``, unless records are to be out before the environment may freeze."""
        if self.settings.flush == "end":
            self._read_facts()
            if self.recorder.has_returned(request_id):  # nobody would release it any more
                self.next_held = True
                self._tell_before_the_freeze()
                return
            self.next_held = self.recorder.hello is not None and not self.hook_gone
        if not self.next_held:
            self.api.send_next()

    def _tell_before_the_freeze(self) -> None:
        self.teller.invocations(self.recorder, before=self.recorder.count + 1)
        self.teller.flush(final=True)
        self._release_next()

    def _release_next(self) -> None:
        if self.next_held:
            self.next_held = False
            self.api.send_next()

    # -- Lambda's events -------------------------------------------------------------------------------------

    def _on_event(self, event: dict[str, Any], woke_ns: int) -> None:
        kind = event.get("eventType")
        if kind == Event.INVOKE:
            self._on_invoke(event, woke_ns)
        elif kind == Event.SHUTDOWN:
            self._on_shutdown(str(event.get("shutdownReason")), woke_ns)
            self._ship_the_rest(event.get("deadlineMs"))
        else:
            self.teller.lose("event", f"unknown: {str(kind)[:40]}")

    def _on_invoke(self, event: dict[str, Any], woke_ns: int) -> None:
        if self.recorder.has_told(str(event.get("requestId"))):
            return
        running = self.recorder.begin(str(event.get("requestId")), woke_ns, agent_cpu_ms())
        running.trace = sampled_trace(event.get("tracing"))
        self.lingering.began(running.request_id, running.index, running.invoked_ns)
        if running.returned is None:  # the hook's facts can overtake INVOKE
            self._begin_running(running)
            self._set_deadline(event.get("deadlineMs"), woke_ns)
        self.teller.invocations(self.recorder, before=running.index, patient=self._platform_reports())
        self.teller.flush()
        if running.index > 1:  # where every freeze comes at once, there is no quieter moment
            self._tell_footprint()

    def _begin_running(self, running: Running) -> None:
        self.state = lifecycle.advance(self.state, Event.INVOKE)
        self.current = running
        self.sampler.start()
        self.wait_ms = self.sampler.interval_ms

    def _set_deadline(self, deadline_ms: object, woke_ns: int) -> None:
        if not isinstance(deadline_ms, int):
            return
        left_ms = deadline_ms - time.time() * 1000
        before_ms = min(STACKS_BEFORE_MS, left_ms / 10)
        self.deadline_ns = woke_ns + int(left_ms * 1e6)
        self.stacks_due_ns = self.deadline_ns - int(before_ms * 1e6)

    def _ask_for_stacks(self) -> None:
        self.stacks_due_ns = None
        pid = self.runtime_pid
        if self.state != State.RUNNING or pid is None or pid not in self.inbox.files:
            return
        self._clear_stacks()
        if not stacks.ask_for_stacks(pid):
            self.teller.lose("stacks", "the runtime does not take our signal")
        self.stacks_of = self.current

    def _clear_stacks(self) -> None:
        file = self.inbox.files.get(self.runtime_pid or 0)
        if file is not None:
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)

    def _platform_reports(self) -> bool:
        return self.subscription is not None and self.subscription.state in ("asked", "subscribed")

    # -- SHUTDOWN --------------------------------------------------------------------------------------------

    def _on_shutdown(self, reason: str, woke_ns: int) -> None:
        self._drain()
        if self.state == State.RUNNING and self.current is not None:
            self.frozen.exclude(self.current.invoked_ns, woke_ns)
        left = self.lingering.open_count()
        self.lingering.close(why_lost(reason), woke_ns)
        closing = self.recorder.closing = self._closing(reason.lower())
        self.teller.findings(self._settled())
        init_verdict = self._tell_init_error(closing)
        self.recorder.begin_the_unseen(woke_ns, agent_cpu_ms(), init_verdict)
        self.teller.invocations(self.recorder, before=None)
        if self.recorder.count:
            self._tell(self._anatomy().close(self.task_root))
        self._tell_losses()
        clock = read_clock()
        took_ms = round((clock.mono_ns - woke_ns) / 1e6, 3)
        self.teller.accept(Shutdown(round(clock.epoch_ms), reason, left, took_ms))
        self.teller.flush(final=True)
        self.state = lifecycle.advance(self.state, Event.SHUTDOWN)

    def _ship_the_rest(self, deadline_ms: object) -> None:
        """Use what is left of SHUTDOWN's time, if there is a collector that has not got everything."""
        now_ms = time.time() * 1000
        given_ms = deadline_ms - now_ms if isinstance(deadline_ms, int) else SHUTDOWN_MOST_MS
        until_ns = time.monotonic_ns() + int((min(given_ms, SHUTDOWN_MOST_MS) - SHUTDOWN_SPARE_MS) * 1e6)
        while self.teller.ships() and time.monotonic_ns() < until_ns:
            self.teller.ship(may_start=True)
            self.poller.wait([], SHUTDOWN_STEP_MS, self.teller.poll_for())
        self.teller.end_shipping()

    def _drain(self) -> None:
        """Take in what is on its way: facts of a runtime that has just died, and the platform's last report."""
        if self.inbox.peers:
            self._wait(SHUTDOWN_DRAIN_MS)
        self._read_facts()
        until_ns = time.monotonic_ns() + SHUTDOWN_REPORT_MS * 1_000_000
        while self._platform_reports() and self.recorder.awaits_report() and time.monotonic_ns() < until_ns:
            self._wait((until_ns - time.monotonic_ns()) / 1e6)
            self._read_facts()
            self._read_telemetry()

    def _closing(self, reason: str) -> Closing:
        pid = self.runtime_pid
        text = read_file(self.inbox.files.get(pid)) if pid is not None else ""
        text = stacks.last_words(text, asked=self.stacks_of is not None and self.stacks_of is self.current)
        gone_ns = self.hung_up_ns.get(pid) if pid is not None else None
        before_ns = (self.deadline_ns or 0) - int(STACKS_BEFORE_MS * 1e6)
        kills = max(0, (proc.read_oom_kills() or 0) - self.oom_kills_before)
        return closing_of(reason, text, kills, gone_early=gone_ns is not None and gone_ns < before_ns)

    def _tell_init_error(self, closing: Closing) -> tuple[str, str] | None:
        """Tell how an Init ended that failed, and return its status and source; None for one that did not."""
        recorder = self.recorder
        fact = recorder.init_fact
        verdict = init_verdict(fact, closing, hook_seen=recorder.hello is not None, begun=recorder.count)
        if verdict is not None:
            self.teller.accept(
                init_ending_of(
                    verdict,
                    fact,
                    closing,
                    said=recorder.init_said.get("error_type"),
                    at_ms=round(time.time() * 1000),
                    memory_mb=recorder.memory_mb,
                    peak_rss_bytes=self.sampler.peak_rss_bytes,
                )
            )
        return verdict

    # -- the hook's facts ------------------------------------------------------------------------------------

    def _read_facts(self) -> None:
        for pid, fact in self.inbox.read():
            getattr(self, "_on_fact_" + fact["t"].replace("-", "_"))(pid, fact)
        for pid in self.inbox.hung_up:
            self.hung_up_ns[pid] = time.monotonic_ns()
            self._lose_hook()
            if not self.gets_invokes:
                self.recorder.worker_gone(pid, self.hung_up_ns[pid], self._closing(WORKER_GONE))
                self._clear_stacks()  # its workers write to one file, which is the runtime's
        self.inbox.hung_up.clear()

    def _on_fact_hello(self, pid: int, fact: dict[str, Any]) -> None:
        if self.runtime_pid is not None and proc.read_stat(self.runtime_pid) is not None:
            return  # a worker of the runtime that we know (Managed Instances)
        self.recorder.hello = fact
        self.runtime_pid = pid
        self.task_root = fact["root"] or ""
        self.teller.runtime = f"python{fact['python']}" if fact["python"] else None
        stat = proc.read_stat(pid)
        if stat is not None:
            boot_offset_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
            self.recorder.process_started_ns = int(stat.start_ms * 1e6) - boot_offset_ns

    def _on_fact_init(self, pid: int, fact: dict[str, Any]) -> None:
        if self.recorder.init_fact is None or fact["error"] is not None:  # of several workers, the first one counts
            self.recorder.init_fact = fact
        proc.reset_peak_rss(pid)

    def _on_fact_entered(self, pid: int, fact: dict[str, Any]) -> None:
        self.poller.look_back()
        running = self.recorder.begin(fact["id"], fact["at"], agent_cpu_ms())
        running.pid = pid
        only_in = None if self.gets_invokes else pid
        self.lingering.began(fact["id"], running.index, min(fact["at"], running.invoked_ns), only_in)
        if self.current is not running and running.returned is None:
            self._begin_running(running)
        self._take_works(pid, fact)
        self.lingering.live_on()
        self.teller.findings(self._settled())

    def _on_fact_returned(self, pid: int, fact: dict[str, Any]) -> None:
        running = self.recorder.returned(fact)
        self.frozen.exclude(fact["from"], fact["at"])
        self._take_works(pid, fact)
        self.teller.findings(self._settled())
        if fact["unlooked"]:
            self.teller.lose("finding", "too-many-to-look-at", fact["unlooked"])
        if running is None:
            return
        running.seen = self._seen_at_return(pid)
        site = self._choose(fact.get("origin", []))
        running.error_origin = stacks.spelled(site) if site is not None else None
        if not self.recorder.anybody_runs():
            self.state = lifecycle.advance(self.state, Event.RETURNED)
            self.wait_ms = AFTER_RETURN_MS
        self.stacks_due_ns = None
        proc.reset_peak_rss(pid)
        if self.next_held:
            self._tell_before_the_freeze()
        else:
            before = running.index if self.gets_invokes else running.index + 1
            self.teller.invocations(self.recorder, before=before, patient=self._platform_reports())

    def _on_fact_found(self, pid: int, fact: dict[str, Any]) -> None:
        for announced in fact["new"]:
            self.lingering.announce(pid, announced)
        for cancelled in fact["lost"]:
            self.lingering.cancelled(pid, cancelled)

    def _on_fact_ended(self, pid: int, fact: dict[str, Any]) -> None:
        self.lingering.end(pid, fact["w"], fact["at"], fact["cpu"])

    def _on_fact_imports(self, pid: int, fact: dict[str, Any]) -> None:
        self.recorder.hook_ms += fact["own"] / 1e6
        self._tell(self._anatomy().hear(pid, fact))

    _on_fact_touched = _on_fact_imports

    def _on_fact_gave_up(self, pid: int, fact: dict[str, Any]) -> None:
        del pid
        self.recorder.hook_gave_up = True
        self.teller.lose("fact", f"hook-gave-up: {fact['error']}")
        self._lose_hook()

    def _lose_hook(self) -> None:
        """Nobody will say any more that a handler has returned."""
        self.hook_gone = self.gets_invokes
        self._release_next()

    def _take_works(self, pid: int, fact: dict[str, Any]) -> None:
        for work, cpu_ns, moved in fact["works"]:
            self.lingering.update(pid, work, cpu_ns, bool(moved))

    # -- telemetry -------------------------------------------------------------------------------------------

    def _read_telemetry(self) -> None:
        if self.subscription is None:
            return
        if self.subscription.sock is not None:
            self.subscription.read()
            if self.subscription.listener is None:
                self.listener.close()
        for event in self.listener.read():
            said = translate(event)
            if said is None:
                continue
            if said.about == "logs":
                self.teller.lose("telemetry", f"dropped by Lambda: {said.fields['reason']}", int(said.fields["count"]))
            elif not self.recorder.said(said):
                self.listener.drop("too-late", seen=False)
            elif said.about == "init" and "init_type" in said.fields:
                self.teller.init_type = said.fields["init_type"]
            elif said.fields.get("started") and not self.gets_invokes and self.recorder.hello is None:
                self.recorder.begin(said.about, time.monotonic_ns(), agent_cpu_ms())  # nobody else will tell

    # -- ticks -----------------------------------------------------------------------------------------------

    def _on_tick(self) -> None:
        now_ns = time.monotonic_ns()
        if self.state == State.RUNNING:
            self._sample(self.sampler.look(self.runtime_pid))
            self.wait_ms = self.sampler.interval_ms
            return
        watch_processes(self.lingering, now_ns)
        most_ms = WATCHING_MOST_MS if self.lingering.open_count() else IDLE_MOST_MS
        self.wait_ms = min(most_ms, self.wait_ms * 2)
        if self.state == State.GLOWING and self.wait_ms > AFTER_RETURN_MS * 4:
            self._tell_footprint()
        if self.state == State.GLOWING and self._anatomy().weighs:
            self.poller.look_back()
            self._tell(self._anatomy().weigh(self.task_root))
            self.poller.forgive()
            self.wait_ms = min(self.wait_ms, WEIGHING_MOST_MS)
        if not self.gets_invokes and self.recorder.count:
            self.teller.invocations(self.recorder, before=self.recorder.count + 1, patient=self._platform_reports())
            self.teller.flush()

    def _sample(self, look: Look) -> None:
        if self.current is not None:
            self.current.sampled(time.monotonic_ns(), look.rss_bytes)
        self.teller.accept(sample_of(look, self._sampled_index(), agent_cpu_ms()))

    def _sampled_index(self) -> int | None:
        """Return whose invocation a sample is; nobody's between two, or when several run at once."""
        if self.current is None or self.state != State.RUNNING:
            return None
        return self.current.index if self.gets_invokes or len(self.recorder.running) == 1 else None

    def _seen_at_return(self, pid: int) -> dict[str, Any]:
        look = self.sampler.look(pid)
        self._sample(look)
        return figures_at_return(look, self.sampler, pid, alone=self.gets_invokes)

    # -- telling ---------------------------------------------------------------------------------------------

    def _tell_footprint(self) -> None:
        if self.footprint_due:
            self.footprint_due = False
            self.teller.accept(read_footprint(self.runtime_pid, round(time.time() * 1000)))

    def _settled(self) -> list[Any]:
        clock = read_clock()
        return self.lingering.settle(clock.mono_ns, round(clock.epoch_ms))

    def _tell_losses(self) -> None:
        self.teller.see("fact", self.inbox.seen - sum(self.inbox.dropped.values()))
        for reason, count in self.inbox.dropped.items():
            self.teller.lose("fact", reason, count)
        self.teller.see("telemetry", self.listener.seen - sum(self.listener.dropped.values()))
        for reason, count in self.listener.dropped.items():
            self.teller.lose("telemetry", reason, count)
        if self.subscription is not None and self.subscription.state not in ("asked", "subscribed", "not-supported"):
            self.teller.lose("subscription", self.subscription.state)
        self.teller.losses()

    def _tell(self, records: Iterable[Record]) -> None:
        for record in records:
            self.teller.accept(record)

    def _anatomy(self) -> "Anatomy":
        if self.anatomy is None:
            from afterglow.anatomy import Anatomy  # noqa: PLC0415 - nothing of it is needed before the first answer

            self.anatomy = Anatomy(self._is_own)
        return self.anatomy

    def _choose(self, frames: list[list[object]]) -> CallSite | None:
        return choose(frames, self._known_dependencies(), self.task_root)

    def _is_own(self, file: str) -> bool:
        """Return whether the file is the function's own code."""
        root = self.task_root
        return bool(root) and file.startswith(root + "/") and not is_dependency(file, self._known_dependencies(), root)

    def _known_dependencies(self) -> frozenset[str]:
        if self.dependencies is None:
            self.dependencies = read_dependencies(self.task_root) if self.task_root else frozenset()
        return self.dependencies


def sampled_trace(tracing: object) -> str | None:
    """Return INVOKE's X-Ray trace header if the trace is sampled."""
    value = tracing.get("value") if isinstance(tracing, dict) else None
    return value if isinstance(value, str) and "Sampled=1" in value else None


def announce(complaints: list[str]) -> None:
    """Say what is wrong with the settings, a line each."""
    for complaint in complaints:
        say(complaint)
