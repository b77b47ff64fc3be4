"""Where the platform's events go: to every subscriber, and to those who subscribe a little later.

In: events from the lifecycle and lines from the processes. Out: offers to subscribers. What was sent before
an extension subscribed is replayed to it while subscription is open (RIE source, telemetry/relay.go).
"""

import threading
import time
from typing import Any

from afterglow_layer.emulator import telemetry_events
from afterglow_layer.emulator.delivery import Subscriber
from afterglow_layer.emulator.journal import Journal
from afterglow_layer.emulator.settings import Misbehaviour
from afterglow_layer.emulator.telemetry_api import Subscription


class Telemetry:
    """The environment's stream of events and its subscribers."""

    def __init__(self, misbehave: Misbehaviour, journal: Journal, log_format: str) -> None:
        self._misbehave = misbehave
        self._journal = journal
        self._log_format = log_format
        self._lock = threading.RLock()
        self._so_far: list[dict[str, Any]] | None = []  # None: subscription is closed
        self._subscribers: list[Subscriber] = []

    def emit(self, event_type: str, record: Any) -> None:
        """Send one event, stamped now, to whoever subscribed to its type."""
        seen = self._journal.note("telemetry.event", "platform", type=event_type, record=record)
        event = telemetry_events.event(event_type, record, seen.at_epoch_ms)
        with self._lock:
            if self._so_far is not None:
                self._so_far.append(event)
            for subscriber in self._subscribers:
                subscriber.offer(event)

    def log(self, event_type: str, line: str) -> None:
        """Send one line that the function or an extension printed."""
        event = telemetry_events.event(
            event_type, telemetry_events.log_record(line, self._log_format), time.time() * 1000
        )
        with self._lock:
            if self._so_far is not None:
                self._so_far.append(event)
            for subscriber in self._subscribers:
                subscriber.offer(event)

    def subscribe(self, name: str, subscription: Subscription) -> None:
        """Add a subscriber, replay to it what it missed, and announce it; a second request replaces a first."""
        subscriber = Subscriber(name, subscription, self._misbehave, self._journal, self._dropped)
        with self._lock:
            replaced = [each for each in self._subscribers if each.name == name]
            self._subscribers = [each for each in self._subscribers if each.name != name] + [subscriber]
            for event in self._so_far or []:
                subscriber.offer(event)
        for each in replaced:
            each.stop()
        self.emit("platform.telemetrySubscription", telemetry_events.subscription(name, subscription.types))

    def close_subscription(self) -> None:
        """End the replay: the init phase is over."""
        with self._lock:
            self._so_far = None

    def freeze(self) -> None:
        """Hold all batches."""
        for subscriber in self._current():
            subscriber.freeze()

    def thaw(self) -> None:
        """Let batches go again."""
        for subscriber in self._current():
            subscriber.thaw()

    def hurry(self) -> None:
        """Send everything at once from now on."""
        for subscriber in self._current():
            subscriber.hurry()

    def flush(self, limit_s: float) -> None:
        """Send what there is, and wait for it up to the limit, which is all subscribers' together."""
        self.hurry()
        give_up = time.monotonic() + limit_s
        for subscriber in self._current():
            subscriber.wait_until_empty(max(0.0, give_up - time.monotonic()))

    def restart(self) -> None:
        """Stop all subscribers and begin afresh, for a new start of the environment."""
        stopped = self._current()
        with self._lock:
            self._subscribers, self._so_far = [], []
        for subscriber in stopped:
            subscriber.stop()

    def _dropped(self, record: telemetry_events.Record) -> None:
        self.emit("platform.logsDropped", record)

    def _current(self) -> list[Subscriber]:
        with self._lock:
            return list(self._subscribers)
