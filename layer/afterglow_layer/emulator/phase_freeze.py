"""Freeze and thaw of the whole environment.

In: a sandbox. Out: every process stopped, or going on; batches of telemetry likewise. Lambda docs, execution
environment: it is frozen when the runtime and each extension have asked for their next event.
"""

import signal

from afterglow_layer.emulator import members
from afterglow_layer.emulator.sandbox import Sandbox


def freeze(sandbox: Sandbox) -> None:
    """Stop every process of the environment, and the delivery of telemetry, which lives beside them."""
    sandbox.telemetry.freeze()
    for process in sandbox.processes():
        process.signal_group(signal.SIGSTOP)  # At once; who left the group is looked for below, which takes ms.
    stopped = members.freeze([process.pid for process in sandbox.processes()], sandbox.runtime_api)
    sandbox.frozen = True
    sandbox.journal.note("freeze", "platform", processes=len(stopped))


def thaw(sandbox: Sandbox) -> None:
    """Let every process go on; nothing to do when it was not frozen."""
    if not sandbox.frozen:
        return
    sandbox.frozen = False
    sandbox.journal.note("thaw", "platform")
    members.signal_all(sandbox.members(), signal.SIGCONT)
    sandbox.telemetry.thaw()
