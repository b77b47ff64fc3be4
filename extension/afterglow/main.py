"""What boot calls once it is registered and ``/next`` is on the wire."""

import gc
import os

from afterglow.agent import Agent, announce
from afterglow.boot import Handoff, bare_loop
from afterglow.settings import from_env


def run(handoff: Handoff) -> None:
    """Profile this environment until SHUTDOWN."""
    settings, complaints = from_env(os.environ)
    announce(complaints)
    if not settings.enabled:
        bare_loop(handoff.api)
        return
    gc.freeze()  # what is loaded now stays: the collector need not walk it again
    Agent(handoff, settings, dict(os.environ)).run()
