"""The hook's facts, one function for each kind. In: what the inbox has. Out: changes in the books, records.

A fact is checked before it comes here (``facts``): its fields are what they claim to be.
"""

import time
from collections.abc import Callable, Container
from typing import Any

from afterglow import callsite, deadlines, invokes, lifecycle, next_call, proc, ticks
from afterglow.lifecycle import Event, State
from afterglow.parts import AFTER_RETURN_MS, Parts
from afterglow.running import WORKER_GONE, Exit, Running
from afterglow.state_findings import Seen, Whose, killed, piled
from afterglow.teller import agent_cpu_ms

MESSAGE_CHARACTERS = 256
MOST_GONE = 256  # processes whose end is remembered
Fact = dict[str, Any]


def read_facts(parts: Parts, ready: Container[int] | None = None) -> None:
    """Take in everything that has arrived from the hook; ``ready`` as the inbox takes it."""
    for pid, fact in parts.inbox.read(ready):
        _READERS[fact["t"]](parts, pid, fact)
    for pid in parts.inbox.hung_up:
        parts.hung_up_ns[pid] = time.monotonic_ns()
        if len(parts.hung_up_ns) > MOST_GONE:
            del parts.hung_up_ns[next(gone for gone in parts.hung_up_ns if gone != parts.runtime_pid)]
        next_call.lose_hook(parts)
        if not parts.gets_invokes:
            from afterglow.farewell import closing  # noqa: PLC0415 - most environments end before they need it

            parts.recorder.worker_gone(pid, parts.hung_up_ns[pid], closing(parts, WORKER_GONE))
            deadlines.clear(parts)  # its workers write to one file, which is the runtime's
    parts.inbox.hung_up.clear()


def _on_hello(parts: Parts, pid: int, fact: Fact) -> None:
    if parts.runtime_pid is not None and proc.read_stat(parts.runtime_pid) is not None:
        return  # a worker of the runtime that we know (Managed Instances)
    parts.recorder.hello = fact
    parts.runtime_pid = pid
    parts.own_code.task_root = fact["root"] or ""
    parts.teller.runtime = f"python{fact['python']}"[:64] if fact["python"] else None
    stat = proc.read_stat(pid)
    if stat is not None:
        boot_offset_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
        parts.recorder.process_started_ns = int(stat.start_ms * 1e6) - boot_offset_ns


def _on_init(parts: Parts, pid: int, fact: Fact) -> None:
    if parts.recorder.init_fact is None or fact["error"] is not None:  # of several workers, the first one counts
        parts.recorder.init_fact = {**fact, "message": _message(parts, fact)}
        if parts.state == State.STARTED:
            parts.stacks_due_ns = None
    parts.sampler.high_water.restart(pid)


def _on_entered(parts: Parts, pid: int, fact: Fact) -> None:
    parts.poller.look_back()
    invokes.be_oneself(parts)
    if parts.gets_invokes and not parts.recorder.may_begin(fact["id"]):
        parts.teller.lose("fact", "entered-without-invoke")
        return
    running = parts.recorder.begin(fact["id"], fact["at"], agent_cpu_ms(), invited=not parts.gets_invokes)
    running.pid = pid
    only_in = None if parts.gets_invokes else pid
    parts.lingering.began(fact["id"], running.index, min(fact["at"], running.invoked_ns), only_in)
    if parts.current is not running and running.returned is None:
        invokes.begin(parts, running)
    _take_works(parts, pid, fact)
    parts.lingering.live_on()
    parts.teller.findings(parts.settled())


def _on_returned(parts: Parts, pid: int, fact: Fact) -> None:
    running = parts.recorder.returned(fact)
    parts.frozen.exclude(fact["from"], fact["at"])
    _take_works(parts, pid, fact)
    parts.teller.findings(parts.settled())
    if fact["unlooked"]:
        parts.teller.lose("finding", "too-many-to-look-at", fact["unlooked"])
    if running is None:
        return
    running.seen = ticks.seen_at_return(parts, pid)
    running.own = own_figures(running.seen, fact, time.monotonic_ns())
    _tell_states(parts, running)
    if fact["error"] is not None:
        site = parts.own_code.choose(fact.get("origin", []))
        running.error_origin = callsite.spelled(site) if site is not None else None
        running.error_stack = parts.own_code.stack(fact.get("origin", []))
    running.error_message = _message(parts, fact)
    if not parts.recorder.anybody_runs():
        parts.state = lifecycle.advance(parts.state, Event.RETURNED)
        parts.wait_ms = AFTER_RETURN_MS
    parts.stacks_due_ns = None
    parts.sampler.high_water.restart(pid)
    if parts.next_held:
        next_call.tell_before_the_freeze(parts)
    else:
        before = running.index if parts.gets_invokes else running.index + 1
        parts.teller.invocations(parts.recorder, before=before, patient=parts.platform_reports())


LATE_NS = 20_000_000
"""A look that comes so long after the return no longer shows what was there then."""


def own_figures(seen: dict[str, Any], fact: Fact, now_ns: int) -> dict[str, Any]:
    """Return what the process knows of itself, as far as nobody was there in time to see it."""
    own = {"rss_bytes": fact["rss"], "peak_rss_bytes": fact["peak"], "threads": fact["threads"], "fds": fact["fds"]}
    is_late = now_ns - fact["at"] > LATE_NS
    return {name: value for name, value in own.items() if value is not None and (is_late or not seen[name])}


def _tell_states(parts: Parts, running: Running) -> None:
    """Tell what has grown up to this return, and whom the kernel has killed during the invocation."""
    whose = Whose(running.request_id, running.index, running.trace)
    if parts.gets_invokes:  # else several workers' figures alternate
        for grown in parts.states.grown({**running.seen, **running.own}):
            _tell_state(parts, grown, whose)
    reaped_bytes = (running.returned or {}).get("reaped")
    biggest = parts.sampler.biggest_child or (("a child process", reaped_bytes) if reaped_bytes else None)
    if biggest is None:
        return  # it had no child that could have been killed
    kills = (proc.read_oom_kills() or 0) - parts.oom_kills_before
    if kills > 0:
        parts.oom_kills_before += kills
        _tell_state(parts, killed(kills, biggest, parts.recorder.memory_mb), whose)


def _tell_state(parts: Parts, seen: Seen, whose: Whose) -> None:
    parts.teller.accept(parts.states.found(parts.lingering.prefix, seen, whose, round(time.time() * 1000)))


def _message(parts: Parts, fact: Fact) -> str | None:
    """Return what the exception says, if that may be told; the hook asks the same setting, and cuts it as short."""
    message: str | None = fact.get("message") if parts.settings.error_messages else None
    return None if message is None else message[:MESSAGE_CHARACTERS]


def _on_found(parts: Parts, pid: int, fact: Fact) -> None:
    for announced in fact["new"]:
        parts.lingering.announce(pid, {**announced, "worker": _worker_of(parts, announced)})
    for cancelled in fact["lost"]:
        parts.lingering.cancelled(pid, cancelled)
    if parts.lingering.refused:
        parts.teller.lose("finding", "too-many-open", parts.lingering.refused)
        parts.lingering.refused = 0


def _worker_of(parts: Parts, work: Fact) -> str | None:
    """Return the module whose thread does it: of one that lives on, or that a library has started for itself."""
    worker: str | None = work["worker"]
    starter = str(work["site"][0][0]) if work["site"] else ""
    if worker is None and work["what"] == "thread" and starter and not parts.own_code.is_own(starter):
        return parts.own_code.package_of(starter)
    return worker


def _on_pile(parts: Parts, pid: int, fact: Fact) -> None:
    del pid
    running = parts.recorder.running.get(fact["id"])
    whose = Whose(fact["id"], fact["n"], running.trace if running is not None else None)
    _tell_state(parts, piled(fact, parts.own_code.choose(fact["site"])), whose)


def _on_ended(parts: Parts, pid: int, fact: Fact) -> None:
    parts.lingering.end(pid, fact["w"], fact["at"], fact["cpu"], fact.get("since"))


def _on_imports(parts: Parts, pid: int, fact: Fact) -> None:
    parts.recorder.hook_ms += fact["own"] / 1e6
    anatomy = parts.own_code.anatomy()
    parts.tell(anatomy.hear(pid, fact))
    if anatomy.lost:
        parts.teller.lose("fact", "imports-in-too-many-parts", anatomy.lost)
        anatomy.lost = 0


def _on_exit(parts: Parts, pid: int, fact: Fact) -> None:
    """Note that the runtime is about to end its own process: this is the last that is heard of it."""
    exited = Exit(fact["call"], fact["at"], parts.own_code.stack(fact["site"]))
    running = [one for one in parts.recorder.running.values() if one.pid == pid and one.returned is None]
    if running:
        running[-1].exited = exited
    else:
        parts.recorder.exited = exited


def _on_gave_up(parts: Parts, pid: int, fact: Fact) -> None:
    del pid
    parts.recorder.hook_gave_up = True
    parts.teller.lose("fact", f"hook-gave-up: {fact['error']}")
    next_call.lose_hook(parts)


def _on_unseen(parts: Parts, pid: int, fact: Fact) -> None:
    del pid
    parts.teller.lose("finding", f"unseen {fact['what']}: {fact['why']}"[:80])


def _take_works(parts: Parts, pid: int, fact: Fact) -> None:
    for work, cpu_ns, moved in fact["works"]:
        parts.lingering.update(pid, work, cpu_ns, bool(moved))


_READERS: dict[str, Callable[[Parts, int, Fact], None]] = {
    "hello": _on_hello,
    "init": _on_init,
    "entered": _on_entered,
    "returned": _on_returned,
    "found": _on_found,
    "ended": _on_ended,
    "pile": _on_pile,
    "imports": _on_imports,
    "touched": _on_imports,
    "exit": _on_exit,
    "gave-up": _on_gave_up,
    "unseen": _on_unseen,
}
