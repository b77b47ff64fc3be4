"""Freeze and thaw of the whole environment.

In: a sandbox. Out: every process standing still, or going on; batches of telemetry likewise. Lambda docs,
execution environment: it is frozen when the runtime and each extension have asked for their next event.
"""

from afterglow_layer.emulator.sandbox import Sandbox
from afterglow_layer.local.cgroups import FreezeError


def freeze(sandbox: Sandbox) -> None:
    """Hold every process of the environment, and the delivery of telemetry, which lives beside them."""
    sandbox.telemetry.freeze()
    try:
        sandbox.hold.freeze()
    except FreezeError as error:
        sandbox.telemetry.thaw()
        sandbox.journal.note("freeze.failed", "platform", reason=str(error))
        return
    sandbox.frozen = True
    sandbox.journal.note("freeze", "platform", freezer=sandbox.hold.name)


def thaw(sandbox: Sandbox) -> None:
    """Let every process go on; nothing to do when it was not frozen."""
    if not sandbox.frozen:
        return
    sandbox.frozen = False
    sandbox.journal.note("thaw", "platform")
    sandbox.hold.thaw()
    sandbox.telemetry.thaw()
