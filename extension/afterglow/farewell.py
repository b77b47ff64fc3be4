"""SHUTDOWN. In: its reason and its time limit. Out: everything that is still to be told, the losses among it."""

import time

from afterglow import deadlines, lifecycle, proc
from afterglow.closing import closing_of, init_ending_of, init_verdict, why_lost
from afterglow.hearing import read_facts
from afterglow.lifecycle import Event, State
from afterglow.overheard import read_telemetry
from afterglow.parts import Parts
from afterglow.records import Shutdown
from afterglow.running import Closing
from afterglow.teller import agent_cpu_ms, read_clock

DRAIN_MS = 20  # facts that a dying runtime has sent are in the socket already
REPORT_MS = 150  # how long SHUTDOWN waits for a report that the platform still owes
MOST_MS = 2000.0  # Lambda's budget where it names no deadline
SPARE_MS = 300.0
STEP_MS = 20.0
LEAST_MS = 500.0  # below it the deadline is another clock's


def on_shutdown(parts: Parts, reason: str, woke_ns: int, deadline_ms: object = None) -> None:
    """Tell all that there is to tell, metrics and losses first, and end."""
    parts.teller.end_by(woke_ns + int((_left_ms(deadline_ms) - SPARE_MS) * 1e6))
    _drain(parts)
    if parts.state == State.RUNNING and parts.current is not None:
        parts.frozen.exclude(parts.current.invoked_ns, woke_ns)
    left = parts.lingering.open_count()
    parts.lingering.close(why_lost(reason), woke_ns)
    parts.recorder.closing = closing(parts, reason.lower())
    parts.teller.findings(parts.settled())
    _tell_invocations(parts, woke_ns)
    _tell_losses(parts)
    clock = read_clock()
    took_ms = round((clock.mono_ns - woke_ns) / 1e6, 3)
    parts.teller.accept(Shutdown(round(clock.epoch_ms), reason, left, took_ms))
    parts.teller.flush(final=True)
    if parts.teller.has_lost():  # what the last flush itself could not write
        parts.teller.losses()
        parts.teller.flush(final=True)
    parts.teller.tell_last_bytes()
    parts.state = lifecycle.advance(parts.state, Event.SHUTDOWN)


def _tell_invocations(parts: Parts, woke_ns: int) -> None:
    verdict = _tell_init_error(parts, woke_ns)
    parts.recorder.begin_the_unseen(woke_ns, agent_cpu_ms(), verdict)
    parts.teller.invocations(parts.recorder, before=None)
    if parts.recorder.count:
        parts.tell(parts.own_code.anatomy().close(parts.own_code.task_root))


def ship_the_rest(parts: Parts, deadline_ms: object) -> None:
    """Use what is left of SHUTDOWN's time, if there is a collector that has not got everything."""
    given_ms = deadline_ms - time.time() * 1000 if isinstance(deadline_ms, int) else MOST_MS
    until_ns = time.monotonic_ns() + int((min(given_ms, MOST_MS) - SPARE_MS) * 1e6)
    parts.teller.hurry()
    while parts.teller.ships() and time.monotonic_ns() < until_ns:
        parts.teller.ship(may_start=True)
        parts.poller.wait([], STEP_MS, parts.teller.poll_for())
    parts.teller.end_shipping()


def _left_ms(deadline_ms: object) -> float:
    """Return how much time there is; a deadline that makes no sense is none."""
    left_ms = deadline_ms - time.time() * 1000 if isinstance(deadline_ms, int) else MOST_MS
    return left_ms if LEAST_MS <= left_ms <= MOST_MS else MOST_MS


def _drain(parts: Parts) -> None:
    """Take in what is on its way: facts of a runtime that has just died, and the platform's last report."""
    if parts.inbox.peers:
        parts.wait(DRAIN_MS)
    read_facts(parts)
    until_ns = time.monotonic_ns() + REPORT_MS * 1_000_000
    while parts.platform_reports() and parts.recorder.awaits_report() and time.monotonic_ns() < until_ns:
        parts.wait((until_ns - time.monotonic_ns()) / 1e6)
        read_facts(parts)
        read_telemetry(parts)


def closing(parts: Parts, reason: str) -> Closing:
    """Return what is known of the end, the environment's or one worker's."""
    pid = parts.runtime_pid
    gone_ns = parts.hung_up_ns.get(pid) if pid is not None else None
    kills = max(0, (proc.read_oom_kills() or 0) - parts.oom_kills_before)
    gone_early = deadlines.gone_before(parts, gone_ns)
    told = closing_of(reason, deadlines.last_words(parts), kills, parts.own_code.stack, gone_early=gone_early)
    return told._replace(exited=parts.recorder.exited, gone_ns=gone_ns)


def _tell_init_error(parts: Parts, woke_ns: int) -> tuple[str, str] | None:
    """Tell how an Init ended that failed, and return its status and source; None for one that did not."""
    recorder, end = parts.recorder, parts.recorder.closing
    if end is None:
        return None
    fact = recorder.init_fact
    took_ms = deadlines.init_took_ms(parts, parts.hung_up_ns.get(parts.runtime_pid or 0, woke_ns))
    overdue = deadlines.is_overdue(took_ms, parts.init_limits_s)
    verdict = init_verdict(fact, end, hook_seen=recorder.hello is not None, begun=recorder.count, overdue=overdue)
    if verdict is not None:
        parts.teller.accept(
            init_ending_of(
                verdict,
                fact,
                end,
                parts.own_code.stack,
                said=recorder.init_said.get("error_type"),
                took_ms=took_ms,
                at_ms=round(time.time() * 1000),
                memory_mb=recorder.memory_mb,
                peak_rss_bytes=parts.sampler.peak_rss_bytes,
            )
        )
    return verdict


def _tell_losses(parts: Parts) -> None:
    teller = parts.teller
    for of, source in (("fact", parts.inbox), ("telemetry", parts.listener)):
        teller.see(of, source.seen - sum(source.dropped.values()))
        for reason, count in source.dropped.items():
            teller.lose(of, reason, count)
    if parts.subscription is not None and parts.subscription.state not in ("asked", "subscribed", "not-supported"):
        teller.lose("subscription", parts.subscription.state)
    teller.announce_last_bytes()
    teller.losses()
