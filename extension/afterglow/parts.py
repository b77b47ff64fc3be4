"""What the agent is made of. In: boot's handoff, settings, the environment. Out: the parts, and where they stand.

The modules that decide what to do next share one ``Parts``: ``agent`` (the turn), ``invokes``, ``hearing``,
``overheard``, ``deadlines``, ``ticks``, ``farewell``. Nothing is decided here.
"""

import json
import os
from typing import TYPE_CHECKING, Any

from afterglow import proc
from afterglow.inbox import Inbox
from afterglow.lifecycle import State
from afterglow.lingering import Lingering
from afterglow.listener import Listener
from afterglow.own_code import OwnCode
from afterglow.poller import Poller
from afterglow.recorder import Boot, Recorder
from afterglow.sampler import Sampler
from afterglow.state_findings import StateFindings
from afterglow.teller import Teller, read_clock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from afterglow.boot import Handoff
    from afterglow.records import Record
    from afterglow.running import Running
    from afterglow.settings import Settings

UNASKED = "nobody's"
AFTER_RETURN_MS = 1.0  # short enough to tell when the freeze began; grows while none comes


def new_name() -> str:
    """Return an environment's name: that no other has."""
    return os.urandom(8).hex()


class Parts:
    """One execution environment, as its agent knows it."""

    def __init__(self, handoff: "Handoff", settings: "Settings", environ: dict[str, str]) -> None:
        self.api = handoff.api
        self.early = handoff.early
        self.subscription = handoff.subscription
        self.gets_invokes = handoff.subscribed
        self.settings = settings
        self._open_witnesses(handoff)
        self._open_books(handoff, environ)
        self.state = State.STARTED
        self.runtime_pid: int | None = None
        self.current: Running | None = None
        self.wait_ms = AFTER_RETURN_MS  # for the next turn
        self.hung_up_ns: dict[int, int] = {}  # pid → when its end of the hook's socket closed
        kills = handoff.oom_kills
        self.oom_kills_before = kills if kills is not None else proc.read_oom_kills() or 0
        # /next
        self.next_held = False
        self.hook_gone = False
        # deadlines
        self.ends_ns: int | None = None  # the function's time
        self.stacks_due_ns: int | None = None
        self.stacks_of: Running | str | None = UNASKED  # whose the stacks are that we have asked for; None: Init's
        self.init_limits_s: tuple[float, ...] = ()
        # ticks
        self.footprint_due = True
        self.flush_due_ns = handoff.registered_mono_ns + settings.flush_seconds * 1_000_000_000

    def _open_witnesses(self, handoff: "Handoff") -> None:
        """Open what sees and hears: our own clock, the hook, the platform, /proc."""
        self.poller = Poller(handoff.registered_mono_ns, handoff.boot_cpu_ns)
        self.poller.adopt(handoff.marks)
        self.frozen = self.poller.frozen
        self.inbox = Inbox(handoff.listener)
        self.listener = Listener(self.subscription.listener if self.subscription is not None else None)
        self.sampler = Sampler(self.settings.sample_ms, self.settings.sample_max_ms)

    def _open_books(self, handoff: "Handoff", environ: dict[str, str]) -> None:
        """Open what keeps and tells: invocations, lingering work, records."""
        env_id = new_name()
        self.is_copied = environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"  # until the first invocation
        boot = Boot(handoff.started_mono_ns, handoff.boot_cpu_ns, handoff.registered_mono_ns)
        memory = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        on_demand = environ.get("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand") == "on-demand"
        self.recorder = Recorder(boot, self.frozen, int(memory) if memory.isdigit() else None, on_demand=on_demand)
        self.recorder.reports_alone = not self.gets_invokes
        self.own_code = OwnCode()
        self.states = StateFindings()
        self.lingering = Lingering(env_id, self.frozen, self.own_code.choose)
        started_at_ms = read_clock().at_ms(boot.started_ns)
        self.teller = Teller(self.settings, environ, json.loads(handoff.identity), env_id, started_at_ms)

    def rename(self, env_id: str) -> None:
        """Go by another name, before anything but losses has been told."""
        self.lingering.prefix = env_id
        self.teller.rename(env_id)

    def wait(self, timeout_ms: float) -> set[int]:
        """Wait for input from anybody; return the descriptors that have some."""
        descriptors = [self.api.sock.fileno(), *self.inbox.descriptors(), *self.listener.descriptors()]
        if self.subscription is not None and self.subscription.sock is not None:
            descriptors.append(self.subscription.sock.fileno())
        return self.poller.wait(descriptors, timeout_ms, self.teller.poll_for())

    def platform_reports(self) -> bool:
        """Return whether the platform's own figures will come, or may."""
        return self.subscription is not None and self.subscription.state in ("asked", "subscribed")

    def tell(self, records: "Iterable[Record]") -> None:
        """Tell several records."""
        for record in records:
            self.teller.accept(record)

    def settled(self) -> list[Any]:
        """Return the findings that have something new to say."""
        if not self.lingering.pieces:
            return []
        clock = read_clock()
        return self.lingering.settle(clock.mono_ns, round(clock.epoch_ms))
