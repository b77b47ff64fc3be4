"""The state of one execution environment, which the API's threads and the lifecycle share.

In: calls from both sides. Out: state changes under one lock, waits that end when the state, a fault or the
clock says so. Nothing here knows HTTP routes or the order of phases.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from afterglow_layer.emulator import members
from afterglow_layer.emulator.holding import Hold, SignalHold
from afterglow_layer.emulator.journal import Journal
from afterglow_layer.emulator.parties import (
    RELEASED,
    Exchange,
    Extension,
    Fault,
    Faulted,
    OutOfTime,
    Party,
    Runtime,
)
from afterglow_layer.emulator.processes import Process
from afterglow_layer.emulator.settings import LambdaSettings, Misbehaviour
from afterglow_layer.emulator.states import ExtensionState
from afterglow_layer.emulator.telemetry import Telemetry
from afterglow_layer.emulator.wire import Gone, Reply


class Sandbox:
    """One execution environment. ``lock`` guards all of it; ``changed()`` wakes whoever waits."""

    def __init__(
        self,
        runtime_command: Sequence[str],
        extension_paths: Sequence[Path],
        *,
        settings: LambdaSettings,
        misbehave: Misbehaviour,
        journal: Journal,
        on_line: Callable[[str, str], None],
    ) -> None:
        self.runtime_command = runtime_command
        self.on_line = on_line  # who printed it, and the line
        self.settings = settings
        self.misbehave = misbehave
        self.journal = journal
        self.telemetry = Telemetry(misbehave, journal, settings.log_format)
        self.extension_paths = extension_paths
        self.runtime_api = ""
        self.launcher: Sequence[str] = ()  # leads into the layer's namespace
        self.hold: Hold = SignalHold("")
        self.lock = threading.Condition(threading.RLock())
        self.turn = threading.RLock()  # held by whoever runs a phase; Managed Instances only to start and to end
        self.runtime = Runtime()
        self.extensions: list[Extension] = []
        self.exchanges: dict[str, Exchange] = {}
        self.fault: Fault | None = None
        self.blamed: str | None = None  # the error type that somebody announced before it exits
        self.init_error_body: bytes | None = None
        self.registration_open = self.subscription_open = False
        self.ready = self.closing = self.frozen = False
        self.generation = 0  # counts the starts of this environment
        self.was_reset = False  # the next start is a suppressed init, inside an invocation
        self.restore_due = False  # a snapshot was taken
        self.peak_rss_bytes: int | None = None

    def changed(self) -> None:
        """Wake every wait, to look again."""
        with self.lock:
            self.lock.notify_all()

    def wait_until(self, met: Callable[[], bool], deadline_mono_s: float) -> None:
        """Return when ``met``; Faulted when the environment breaks first, OutOfTime at the deadline."""
        with self.lock:
            generation = self.generation
            while not met():
                if self.fault is not None:
                    raise Faulted(self.fault)
                if self.generation != generation:  # Someone else has seen the fault and cleared it away.
                    raise Faulted(Fault("Sandbox.Failure", "the environment was reset"))
                left_s = deadline_mono_s - time.monotonic()
                if left_s <= 0:
                    raise OutOfTime
                self.lock.wait(left_s)

    def wait_for_mail(self, party: Party) -> Reply:
        """Return the party's next event, however long it takes; Gone when the party has been removed meanwhile."""
        with self.lock:
            self.lock.wait_for(lambda: party.mail or party.gone)
            if party.gone:
                raise Gone
            return party.mail.popleft()

    def deliver(self, party: Party, reply: Reply) -> None:
        """Put an event into the party's mail; it counts as running from now on, though it may be asleep still."""
        with self.lock:
            party.mail.append(reply)
            if isinstance(party, Extension) and party.state is ExtensionState.READY:
                party.state = ExtensionState.RUNNING
            if isinstance(party, Runtime) and party.state in RELEASED:
                party.state = RELEASED[party.state]
            self.lock.notify_all()

    def break_with(self, fault: Fault) -> None:
        """Note the first thing that broke; what follows from it does not count."""
        with self.lock:
            if self.fault is None and not self.closing:
                self.fault = fault
            self.lock.notify_all()

    def subscribed(self, event: str) -> list[Extension]:
        """Return the extensions that registered for INVOKE or SHUTDOWN."""
        return [extension for extension in self.extensions if event in extension.events]

    def processes(self) -> list[Process]:
        """Return the processes that the emulator started and that make up this environment."""
        parties: list[Party] = [self.runtime, *self.extensions]
        return [party.process for party in parties if party.process is not None]

    def note_memory(self) -> None:
        """Take the processes' peaks into account; the environment's own peak never falls."""
        now = members.sum_peak_rss_bytes(self.hold.members())
        known = [peak for peak in (self.peak_rss_bytes, now) if peak is not None]
        self.peak_rss_bytes = max(known) if known else None

    def clear(self) -> None:
        """Forget the processes and their registrations, ready for a new start; who still waits is gone."""
        with self.lock:
            for party in (self.runtime, *self.extensions):
                party.gone = True
            self.runtime, self.extensions, self.exchanges = Runtime(), [], {}
            self.fault = self.blamed = self.init_error_body = None
            self.ready = self.closing = self.frozen = self.restore_due = False
            self.generation += 1
            self.registration_open = self.subscription_open = False
            self.lock.notify_all()
