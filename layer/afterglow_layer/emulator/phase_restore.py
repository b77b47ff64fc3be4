"""The Restore phase of SnapStart.

In: a sandbox that initialised and was frozen, which stands for the snapshot. Out: how long the restore took,
and its telemetry; Faulted or OutOfTime when an after-restore hook fails. The processes are the very same ones
as before the "snapshot": random seeds and open connections are not doubled, as real snapshots double them.
"""

import time

from afterglow_layer.emulator import facts, telemetry_events
from afterglow_layer.emulator.figures import SUCCESS, TIMED_OUT, Ending
from afterglow_layer.emulator.parties import Faulted, OutOfTime
from afterglow_layer.emulator.sandbox import Sandbox
from afterglow_layer.emulator.states import RuntimeState
from afterglow_layer.emulator.wire import Reply


def restore(sandbox: Sandbox) -> float:
    """Release ``/restore/next``, wait for the hooks, and return the ms it took.

    A runtime that never asked for ``/restore/next`` has no hooks: it is left waiting for its first invocation
    (RIE source, rapid/handlers.go, handleRestore).
    """
    began = time.monotonic()
    sandbox.restore_due = False
    sandbox.telemetry.emit("platform.restoreStart", telemetry_events.restore_start(sandbox.settings))
    ending = SUCCESS
    try:
        if sandbox.runtime.state is RuntimeState.RESTORE_READY:
            sandbox.deliver(sandbox.runtime, Reply(200))
        deadline = began + facts.RESTORE_LIMIT_MS / 1000
        sandbox.wait_until(lambda: sandbox.runtime.state is RuntimeState.READY, deadline)
    except OutOfTime:
        ending = TIMED_OUT
        raise
    except Faulted as broken:
        ending = Ending("error", broken.fault.error_type)
        raise
    finally:
        took_ms = (time.monotonic() - began) * 1000
        sandbox.telemetry.emit("platform.restoreRuntimeDone", telemetry_events.restore_runtime_done(ending))
        sandbox.telemetry.emit("platform.restoreReport", telemetry_events.restore_report(ending, took_ms))
    return took_ms
