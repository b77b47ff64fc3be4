"""What boot calls once it is registered and ``/next`` is on the wire."""

import gc
import os

from afterglow.agent import Agent, announce
from afterglow.boot import Handoff
from afterglow.settings import from_env


def run(handoff: Handoff) -> None:
    """Profile this environment until SHUTDOWN; when that is not wanted, leave it to boot's bare loop."""
    settings, complaints = from_env(os.environ)
    announce(complaints)
    if not settings.enabled:
        return
    gc.freeze()  # what is loaded now stays: the collector need not walk it again
    agent = Agent(handoff, settings, dict(os.environ))
    try:
        agent.run()
    finally:
        agent.close()
