"""The hook's facts, one function for each kind. In: what the inbox has. Out: changes in the books, records.

A fact is checked before it comes here (``facts``): its fields are what they claim to be.
"""

import time
from collections.abc import Callable, Container
from typing import Any

from afterglow import deadlines, invokes, lifecycle, next_call, proc, stacks, ticks
from afterglow.lifecycle import Event, State
from afterglow.parts import AFTER_RETURN_MS, Parts
from afterglow.running import WORKER_GONE
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
    parts.teller.runtime = f"python{fact['python']}" if fact["python"] else None
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
    site = parts.own_code.choose(fact.get("origin", []))
    running.error_origin = stacks.spelled(site) if site is not None else None
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


def _message(parts: Parts, fact: Fact) -> str | None:
    """Return what the exception says, if that may be told; the hook asks the same setting, and cuts it as short."""
    message: str | None = fact.get("message") if parts.settings.error_messages else None
    return None if message is None else message[:MESSAGE_CHARACTERS]


def _on_found(parts: Parts, pid: int, fact: Fact) -> None:
    for announced in fact["new"]:
        parts.lingering.announce(pid, announced)
    for cancelled in fact["lost"]:
        parts.lingering.cancelled(pid, cancelled)
    if parts.lingering.refused:
        parts.teller.lose("finding", "too-many-open", parts.lingering.refused)
        parts.lingering.refused = 0


def _on_ended(parts: Parts, pid: int, fact: Fact) -> None:
    parts.lingering.end(pid, fact["w"], fact["at"], fact["cpu"])


def _on_imports(parts: Parts, pid: int, fact: Fact) -> None:
    parts.recorder.hook_ms += fact["own"] / 1e6
    anatomy = parts.own_code.anatomy()
    parts.tell(anatomy.hear(pid, fact))
    if anatomy.lost:
        parts.teller.lose("fact", "imports-in-too-many-parts", anatomy.lost)
        anatomy.lost = 0


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
    "imports": _on_imports,
    "touched": _on_imports,
    "gave-up": _on_gave_up,
    "unseen": _on_unseen,
}
