"""The Shutdown phase, and the reset after a timeout or a crash, which is the same (Lambda docs, failures).

In: a sandbox in whatever state, and a reason. Out: no process left. The order is RIE's (RIE source,
rapid/shutdown.go): the runtime gets SIGTERM and, after 30 % of the budget, SIGKILL; only then do the
extensions get SHUTDOWN, and SIGKILL at the deadline. An extension never gets SIGTERM. Before all that the
environment thaws.
"""

import signal
import time
from collections.abc import Sequence

from afterglow_layer.emulator import facts, members, replies
from afterglow_layer.emulator.parties import Extension, Fault
from afterglow_layer.emulator.phase_freeze import thaw
from afterglow_layer.emulator.processes import Process
from afterglow_layer.emulator.sandbox import Sandbox
from afterglow_layer.emulator.settings import ShutdownReason

KILL_LIMIT_S = 9.0
"""RIE source, rapid/shutdown.go, supervisorBlockingMaxMillis: a process deep in the kernel is not waited
for."""


def budget_ms(extensions: Sequence[Extension]) -> int:
    """Return how long Shutdown may take in all."""
    if any(not extension.internal for extension in extensions):
        return facts.SHUTDOWN_BUDGET_MS["external"]
    return facts.SHUTDOWN_BUDGET_MS["internal" if extensions else "none"]


def shut_down(sandbox: Sandbox, reason: ShutdownReason) -> None:
    """End every process of the environment and leave the sandbox ready for a new start."""
    began = time.monotonic()
    budget = budget_ms(sandbox.extensions)
    sandbox.closing = True
    sandbox.journal.note("shutdown.start", "platform", reason=reason.value, budget_ms=budget)
    thaw(sandbox)
    _end_runtime(sandbox, began + budget * facts.RUNTIME_SHARE / 1000)
    if sandbox.misbehave.no_flush_at_shutdown:
        sandbox.telemetry.hurry()
    else:
        sandbox.telemetry.flush(min(facts.FLUSH_LIMIT_S, max(0.0, began + budget / 1000 - time.monotonic())))
    _end_extensions(sandbox, reason, began + budget / 1000)
    _end_the_rest(sandbox)
    sandbox.journal.note("shutdown.done", "platform", took_ms=(time.monotonic() - began) * 1000)
    sandbox.clear()
    sandbox.was_reset = reason is not ShutdownReason.SPINDOWN
    sandbox.telemetry.restart()


def kill_everyone(sandbox: Sandbox) -> None:
    """SIGKILL to all at once, without a phase: for a test that has failed, perhaps amid an invocation."""
    sandbox.hold.thaw()  # In cgroup v1 a frozen process does not even die.
    members.signal_all(sandbox.hold.members(), signal.SIGKILL)
    sandbox.break_with(Fault("Sandbox.Failure", "everyone was killed"))
    with sandbox.turn:  # Whoever waited for them has noticed by now.
        sandbox.closing = True
        _end_the_rest(sandbox)
        sandbox.clear()
        sandbox.telemetry.restart()


def _end_runtime(sandbox: Sandbox, deadline_mono_s: float) -> None:
    """SIGTERM, then SIGKILL; without extensions SIGKILL at once, for then there is no budget."""
    process = sandbox.runtime.process
    if process is None or process.ended.is_set():
        return
    if sandbox.extensions:
        process.signal_group(signal.SIGTERM)
        process.ended.wait(max(0.0, deadline_mono_s - time.monotonic()))
    _kill(sandbox, process)


def _end_extensions(sandbox: Sandbox, reason: ShutdownReason, deadline_mono_s: float) -> None:
    """SHUTDOWN to those who subscribed to it, SIGKILL to the others; SIGKILL to all at the deadline."""
    left_ms = max(0.0, deadline_mono_s - time.monotonic()) * 1000
    event = replies.shutdown_event(int(time.time() * 1000 + left_ms), reason.value)
    for extension in sandbox.extensions:
        if "SHUTDOWN" in extension.events:
            sandbox.deliver(extension, event)
        elif extension.process is not None:
            _kill(sandbox, extension.process)
    for extension in sandbox.extensions:
        if extension.process is not None:
            extension.process.ended.wait(max(0.0, deadline_mono_s - time.monotonic()))
            _kill(sandbox, extension.process)


def _kill(sandbox: Sandbox, process: Process) -> None:
    """SIGKILL to the process's group, if it has not ended by itself."""
    if not process.ended.is_set():
        sandbox.journal.note("process.killed", process.name, pid=process.pid)
        process.signal_group(signal.SIGKILL)
        process.ended.wait()


def _end_the_rest(sandbox: Sandbox) -> None:
    """End children that left their group: Lambda's virtual machine ends with all in it (RIE leaves them)."""
    give_up = time.monotonic() + KILL_LIMIT_S
    while (left := sandbox.hold.members()) and time.monotonic() < give_up:
        sandbox.journal.note("process.leftover", "platform", pids=sorted(left))
        members.signal_all(left, signal.SIGKILL)
        time.sleep(0.005)  # The kernel needs a moment, and tells nobody but the parent.
    for process in sandbox.processes():
        process.join()
