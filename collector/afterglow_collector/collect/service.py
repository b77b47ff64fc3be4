"""The service: requests to the intake, minutes to the publisher, state to disk, in one event loop.

In: requests from connections, a tick a second, stop. Out: answers; entries in the journal; work for the publisher.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from afterglow.window import MINUTE_MS
from afterglow_collector.collect import answers, routes
from afterglow_collector.collect.answers import Answer
from afterglow_collector.collect.clock import Clock
from afterglow_collector.collect.connection import Connection, Reply
from afterglow_collector.collect.entries import CLOSE, FOREVER, Close, encode_close
from afterglow_collector.collect.incoming import Request
from afterglow_collector.collect.publisher import Publisher, Snapshot
from afterglow_collector.collect.tokens import ANYBODY, Sender, Tokens

if TYPE_CHECKING:
    from afterglow_collector.collect.intake import Intake
    from afterglow_collector.collect.options import Options

LOG = logging.getLogger(__name__)

CHECKPOINT_S = 300

Post = Callable[[Callable[[], None]], object]
"""Runs a function on the event loop, from any thread."""


class Service:
    """What connections talk to."""

    def __init__(
        self,
        options: "Options",
        intake: "Intake",
        publisher: Publisher,
        tokens: Tokens,
        post: Post,
        *,
        clock: Clock | None = None,
    ) -> None:
        self.options = options
        self.clock = clock or Clock()
        self.post = post
        self.intake = intake
        self.publisher = publisher
        self.tokens = tokens
        self.counts = intake.counts
        self.state = intake.state
        self.connections: set[Connection] = set()
        self.max_body_bytes = options.max_body_kb << 10
        self.max_connections = options.max_connections
        self.stopping = False
        self.expose: Callable[[], bytes] = bytes
        self.troubles: Callable[[], list[str]] = list
        self._closing_before = self.state.closed_before
        self._closed_steady_ms = self.clock.steady_ms()
        self._close_under_way = False
        self._snapshot_under_way = False
        self._saved_lsn = self.state.lsn
        self._saved_s = time.monotonic()
        self._saved_bytes = 0

    def admit(self, method: bytes, path: bytes, headers: dict[bytes, bytes]) -> Answer | Sender:
        """Return the answer to a request that has no right to be here, and whose it is of the others."""
        route = routes.ROUTES.get(path)
        if route is None:
            return answers.problem(404, f"no such path; {routes.known()}")
        if method not in route.methods:
            allow = b", ".join(route.methods)
            problem = answers.problem(405, f"{path.decode('latin-1')} takes {allow.decode()}")
            return problem._replace(headers=((b"allow", allow),))
        if route.public:
            return ANYBODY
        sender = self.tokens.sender_of(headers.get(b"authorization", b""))
        if sender is None:
            self.counts.unauthorized += 1
            problem = answers.problem(401, "send a token that is in force: Authorization: Bearer TOKEN")
            return problem._replace(headers=((b"www-authenticate", b"Bearer"),))
        if sender.functions and path != routes.RECORDS:
            return answers.problem(
                403, "this token is good for sending the records of some functions, and nothing else"
            )
        return sender

    def serve(self, request: Request, reply: Reply) -> None:
        """Answer a request. The one guard that keeps a bug from taking the others' requests down is here."""
        began_s = time.perf_counter()

        def counted(answer: Answer) -> None:
            self.counts.answered(answer.status, time.perf_counter() - began_s)
            reply(answer)

        try:
            if request.path == routes.RECORDS:
                self._take(request, counted)
            else:
                counted(routes.ROUTES[request.path].answer(self))
        except Exception:
            LOG.exception("%s %s", request.method.decode(), request.path.decode("latin-1"))
            self.counts.bugs += 1
            counted(answers.problem(500, "a bug of the collector's; its log tells more"))

    def tick(self) -> None:
        """Do what is due; once a second."""
        self.tokens.refresh()
        self._close_minutes(self.clock.times().now_ms)
        self._save_if_due()

    def close_all(self, done: Callable[[], None]) -> None:
        """Close every window, whatever its minute, and call back when that is on its way to the sinks."""
        if self.state.something_to_close(FOREVER):
            self._append_close(self.clock.times().now_ms, FOREVER, done)
        else:
            done()

    def save(self) -> None:
        """Have the state written behind everything that it has published."""
        journal = self.intake.journal
        if journal is None or self.state.lsn == self._saved_lsn:
            return
        lsn = self.state.lsn
        self._snapshot_under_way = True
        self._saved_s, self._saved_bytes = time.monotonic(), journal.bytes_written

        def written(oldest_lsn: int) -> None:  # on the publisher's thread
            journal.remove_before(oldest_lsn + 1)
            self.post(partial(self._saved, lsn))

        def failed() -> None:  # so, too; the next one is due after as long as if this had been saved
            self.post(partial(self._saved, self._saved_lsn))

        self.publisher.put(Snapshot(lsn, self.state.to_plain(), written, failed))

    def problem(self) -> str | None:
        """Return why the service is not ready; None when it is."""
        if self.stopping:
            return "stopping"
        if self.publisher.failure is not None:
            return f"nothing can be published: {self.publisher.failure}"
        journal = self.intake.journal
        if journal is not None and journal.failure is not None:
            return f"nothing can be made durable: {journal.failure}"
        return None

    def _take(self, request: Request, reply: Reply) -> None:
        if self.stopping:
            reply(answers.try_again(503, "the collector is stopping", 5))
            return
        self.counts.bytes_in += len(request.body)
        self.intake.take(request.headers, request.body, self.clock.times(), reply, request.sender or ANYBODY)

    def _close_minutes(self, now: int) -> None:
        """Close what is over, once for each minute that the clock shows: it may have been set back."""
        before = self.state.over_before(now)
        if before == self._closing_before or self._close_under_way:
            return
        if self.state.something_to_close(before):
            self._append_close(now, before, lambda: None)
        else:
            self._closing_before = before

    def _append_close(self, now: int, before: int, done: Callable[[], None]) -> None:
        steady = self.clock.steady_ms()
        close = Close(now, before, steady - self._closed_steady_ms)

        def durable(lsn: int, error: OSError | None) -> None:
            self._close_under_way = False
            if error is None:
                self._closed_steady_ms = steady
                self.publisher.put(self.state.apply_close(lsn, close))
                self.intake.room.closed(before)
                self._closing_before = min(before, now // MINUTE_MS)
            done()  # the minutes of a close that failed are closed by the next one

        self._close_under_way = True
        if self.intake.journal is None:
            durable(self.state.lsn + 1, None)
        else:
            self.intake.journal.append(CLOSE, (encode_close(close),), durable)

    def _saved(self, lsn: int) -> None:
        self._saved_lsn = lsn
        self._snapshot_under_way = False

    def _save_if_due(self) -> None:
        journal = self.intake.journal
        if journal is None or self._snapshot_under_way:
            return
        grown = journal.bytes_written - self._saved_bytes
        if grown > self.options.checkpoint_mb << 20 or time.monotonic() - self._saved_s > CHECKPOINT_S:
            self.save()
