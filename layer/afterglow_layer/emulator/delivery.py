"""One subscriber of telemetry: its buffer, and the thread that posts batches to its listener.

In: events. Out: HTTP POSTs (or lines over TCP) to 127.0.0.1, and notes in the journal. A batch leaves when it
is full or ``timeoutMs`` old (Lambda docs, Telemetry API, buffering). While the sandbox is frozen nothing
leaves: on Lambda the sender lives in the same sandbox, so the batch that was due comes after the thaw.
"""

import json
import socket
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

from afterglow_layer.emulator import tamper
from afterglow_layer.emulator.journal import Journal
from afterglow_layer.emulator.posting import post
from afterglow_layer.emulator.settings import Misbehaviour
from afterglow_layer.emulator.telemetry_api import Subscription
from afterglow_layer.emulator.telemetry_events import Record, category, in_schema, logs_dropped

LISTENER_TIMEOUT_S = 60.0
"""Longer than any freeze in a test; a listener that says nothing for this long has lost the batch."""


class Subscriber:
    """Delivers to one extension until ``stop``."""

    def __init__(
        self,
        name: str,
        subscription: Subscription,
        misbehave: Misbehaviour,
        journal: Journal,
        on_dropped: Callable[[Record], None],
    ) -> None:
        self.name = name
        self.subscription = subscription
        self._misbehave = misbehave
        self._journal = journal
        self._on_dropped = on_dropped
        self._change = threading.Condition()
        self._buffer: list[dict[str, Any]] = []
        self._bytes = 0
        self._oldest_mono_s = 0.0
        self._frozen = self._hurry = self._stopping = self._sending = False
        self._held_for_thaw = False
        self._overtaken: tamper.Parcel | None = None
        self._lines: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name=f"telemetry-{name}", daemon=True)
        self._thread.start()

    def offer(self, event: dict[str, Any]) -> None:
        """Take one event into the buffer if it is of a type that was subscribed to."""
        if category(event["type"]) not in self.subscription.types:
            return
        with self._change:
            if not self._buffer:
                self._oldest_mono_s = time.monotonic()
                self._held_for_thaw = self._misbehave.late_batches
            self._buffer.append(in_schema(event, self.subscription.schema))
            self._bytes += len(json.dumps(self._buffer[-1]))
            self._change.notify_all()

    def freeze(self) -> None:
        """Send nothing until the thaw."""
        with self._change:
            self._frozen = True

    def thaw(self) -> None:
        """Go on; what was due during the freeze is due now."""
        with self._change:
            self._frozen = self._held_for_thaw = False
            self._change.notify_all()

    def hurry(self) -> None:
        """From now on buffer nothing: SHUTDOWN is near, and a buffer would be lost."""
        with self._change:
            self._hurry = True
            self._frozen = self._held_for_thaw = False
            self._change.notify_all()

    def wait_until_empty(self, limit_s: float) -> bool:
        """Return whether everything so far was sent within the limit."""
        with self._change:
            return self._change.wait_for(lambda: not (self._buffer or self._sending or self._overtaken), limit_s)

    def stop(self) -> None:
        """End the thread; what is left in the buffer is lost, as with the environment on Lambda."""
        with self._change:
            self._stopping = True
            self._change.notify_all()
        self._thread.join(timeout=2.0)
        if self._lines is not None:
            self._lines.close()

    def _run(self) -> None:
        while (events := self._next_batch()) is not None:
            for parcel in self._reordered(tamper.parcels(events, self._misbehave, self.subscription.protocol)):
                with self._change:
                    self._change.wait_for(lambda: self._stopping, parcel.delay_ms / 1000)
                if self._stopping:
                    return
                self._deliver(parcel, is_news=any(each["type"] != "platform.logsDropped" for each in events))

    def _next_batch(self) -> list[dict[str, Any]] | None:
        with self._change:
            self._sending = False
            self._change.notify_all()
            while not self._stopping:
                wait_s = self._wait_s()
                if wait_s is not None and wait_s <= 0:
                    events, self._buffer, self._bytes = self._buffer, [], 0
                    self._sending = True
                    return events
                self._change.wait(wait_s)
            return None

    def _wait_s(self) -> float | None:
        """How long until there is something to send; None: until something changes."""
        if self._hurry and self._overtaken is not None:
            return 0.0
        if not self._buffer or self._frozen or self._held_for_thaw:
            return None
        full = len(self._buffer) >= self.subscription.max_items or self._bytes >= self.subscription.max_bytes
        if full or self._hurry:
            return 0.0
        return self._oldest_mono_s + self.subscription.timeout_ms / 1000 - time.monotonic()

    def _reordered(self, parcels: list[tamper.Parcel]) -> list[tamper.Parcel]:
        """Let each second parcel overtake the one before it; at the end nothing is held back."""
        if not self._misbehave.reorder_batches:
            return parcels
        ordered: list[tamper.Parcel] = []
        for parcel in parcels:
            if self._overtaken is None:
                self._overtaken = parcel
            else:
                ordered += [parcel, self._overtaken]
                self._overtaken = None
        if self._hurry and self._overtaken is not None:
            ordered.append(self._overtaken)
            self._overtaken = None
        return ordered

    def _deliver(self, parcel: tamper.Parcel, *, is_news: bool) -> None:
        outcome = self._send(parcel)
        self._journal.note("telemetry.batch", self.name, outcome=outcome, events=parcel.events, bytes=len(parcel.body))
        if outcome != 200 and is_news:  # The loss of a notice of loss is not announced again, without end.
            reason = f"could not send events: {outcome}"
            self._on_dropped(logs_dropped(len(parcel.body), parcel.events, reason))

    def _send(self, parcel: tamper.Parcel) -> int | str:
        """Return the listener's HTTP status (200 for TCP), or what went wrong."""
        try:
            if self.subscription.protocol == "TCP":
                return self._send_lines(parcel)
            with socket.create_connection(("127.0.0.1", self.subscription.port), LISTENER_TIMEOUT_S) as connection:
                return post(connection, self.subscription, parcel)
        except (OSError, HTTPException) as error:
            return type(error).__name__

    def _send_lines(self, parcel: tamper.Parcel) -> int:
        """TCP: one event per line over one connection (RIE source, telemetry/internal/client.go)."""
        if self._lines is None:
            self._lines = socket.create_connection(("127.0.0.1", self.subscription.port), LISTENER_TIMEOUT_S)
        self._lines.sendall(parcel.body)
        return 200
