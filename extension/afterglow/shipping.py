"""Ships records to a collector. In: records. Out: batches, each sent until it is taken, or dropped and counted.

A batch keeps its number however often it is sent, so a collector can tell what it has counted already. Bounded:
so much in memory, then so much in /tmp, then the oldest batch is dropped. Sent while an invocation runs and at
SHUTDOWN, never in between: there the environment may be frozen at any moment, and the time is billed.
"""

import os
import zlib
from collections.abc import Callable

from afterglow.exchange import Exchange, Failed
from afterglow.peer import Peer
from afterglow.records import Environment, Record, Sample, encode_row
from afterglow.records import encode as encode_record
from afterglow.runtime_api import Answer
from afterglow.spool import Batch, Spool

BATCH_BYTES = 131_072  # of lines, before compression
OPEN_MS = 5_000  # how long a batch gathers records; a collector waits longer than that for late ones
FIRST_PAUSE_NS = 200_000_000
LONGEST_PAUSE_NS = 30_000_000_000
ANSWER_WITHIN_NS = 5_000_000_000
LONGEST_PROBLEM = 200  # characters of it that are told
TAKEN = (200, 202, 204)
NEVER = (400, 404, 405, 409, 413, 415, 422)
"""Sending it again would change nothing. 401 and 403 are not here: an operator may still put the token in force."""


class Shipper:
    """An outlet that sends batches through a non-blocking exchange; the loop polls it."""

    def __init__(
        self,
        peer: Peer,
        token: str,
        environment: Environment,
        clock_ns: Callable[[], int],
        tmp: str = "/tmp",  # noqa: S108 - Lambda's ephemeral storage
    ) -> None:
        self.peer = peer
        self.token = token
        self.env_id = environment.env_id
        self.head = encode_record(environment)
        self.clock_ns = clock_ns
        self.spool = Spool(tmp, environment.env_id)
        self.bytes_out = 0
        self.retries = 0
        self.problem = ""  # what came of the last try, unless the batch was taken
        self._lines: list[str] = []
        self._lines_bytes = 0
        self._sealed_at_ms = environment.started_at_ms
        self._seq = 0
        self._exchange: Exchange | None = None
        self._sending: Batch | None = None
        self._give_up_ns = 0
        self._not_before_ns = 0

    def accept(self, record: Record) -> None:
        """Add the record to the open batch. Samples are for the local report."""
        if isinstance(record, Sample):
            return
        line = encode_row(record)
        self._lines.append(line)
        self._lines_bytes += len(line) + 1
        if self._lines_bytes >= BATCH_BYTES:
            self._seal()

    def flush(self, now_ms: int, *, final: bool) -> None:
        """Close the open batch when its time has come: it is ready to go."""
        if final or now_ms - self._sealed_at_ms >= OPEN_MS:
            self._sealed_at_ms = now_ms
            self._seal()

    def take_dropped(self) -> dict[str, int]:
        """Return how many records were given up, by reason."""
        dropped, self.spool.dropped = self.spool.dropped, {}
        return dropped

    def _seal(self) -> None:
        if not self._lines:
            return
        self._seq += 1
        text = "\n".join([self.head, *self._lines, ""])
        packer = zlib.compressobj(level=6, wbits=31)
        self.spool.add(self._seq, len(self._lines), packer.compress(text.encode()) + packer.flush())
        self._lines, self._lines_bytes = [], 0

    # -- sending ---------------------------------------------------------------------------------------------

    def poll_for(self) -> dict[int, int]:
        """Return the descriptor and events to wait for; empty while nothing is on its way."""
        return {self._exchange.fileno(): self._exchange.mask} if self._exchange is not None else {}

    def pending(self) -> bool:
        """Return whether there is anything to send, or on its way."""
        return bool(self.spool.batches)

    def step(self, *, may_start: bool) -> None:
        """Go on with what is on its way; start the next batch where that is allowed."""
        now_ns = self.clock_ns()
        if self._exchange is None and may_start and now_ns >= self._not_before_ns:
            self._start(now_ns)
        if self._exchange is None:
            return
        try:
            answer = self._exchange.step(now_ns)
        except Failed as failed:
            self._again(now_ns, str(failed))
            return
        if answer is not None:
            self._judge(answer, now_ns)
        elif now_ns > self._give_up_ns:
            self._again(now_ns, f"no answer within {ANSWER_WITHIN_NS // 1_000_000_000} s")

    def _start(self, now_ns: int) -> None:
        first = self.spool.first()
        if first is None:
            return
        self._sending, body = first
        self.spool.held = True
        self._give_up_ns = now_ns + ANSWER_WITHIN_NS
        self.problem = self.problem or "no answer yet"
        request = self._request(self._sending.seq, body)
        self._exchange = Exchange(self.peer, request)
        self.bytes_out += len(request)

    def _request(self, seq: int, body: bytes) -> bytes:
        _, host, port, path = self.peer.address
        named = f"[{host}]" if ":" in host else host
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: {named}:{port}" if port else "Host: localhost",
            "Content-Type: application/x-ndjson",
            "Content-Encoding: gzip",
            f"Content-Length: {len(body)}",
            f"Afterglow-Seq: {seq}",
            "Connection: close",
        ]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    def _judge(self, answer: Answer, now_ns: int) -> None:
        sending, status = self._sending, answer.status
        if sending is None or status not in (*TAKEN, *NEVER):
            self._again(now_ns, f"HTTP {status}", asked_ns=_asked_ns(answer))
            return
        self._exchange = self._sending = None
        self.spool.held = False
        self.retries = 0
        if status in TAKEN:
            self.problem = ""
            self.spool.done(sending.seq)
            return
        self.problem = f"HTTP {status}"
        position = next((i for i, batch in enumerate(self.spool.batches) if batch.seq == sending.seq), None)
        if position is not None:
            self.spool.drop(position, f"refused-{status}")

    def _again(self, now_ns: int, problem: str, asked_ns: int = 0) -> None:
        """Try the same batch later: exponential backoff with full jitter (AWS Architecture Blog, 2015)."""
        if self._exchange is not None:
            self._exchange.abandon()
        self._exchange = self._sending = None
        self.spool.held = False
        self.problem = problem[:LONGEST_PROBLEM]
        longest_ns = min(LONGEST_PAUSE_NS, FIRST_PAUSE_NS * 2 ** min(self.retries, 10))
        self.retries += 1
        self._not_before_ns = now_ns + asked_ns + longest_ns * os.urandom(1)[0] // 255

    def hurry(self) -> None:
        """SHUTDOWN: there is no later, so no pause either, and short ones from now on."""
        self._not_before_ns = self.retries = 0


def _asked_ns(answer: Answer) -> int:
    """Return how long the collector asks us to wait; 0 if it does not, or gives a date."""
    seconds = answer.headers.get(b"retry-after", b"")
    return min(LONGEST_PAUSE_NS, int(seconds[:6]) * 1_000_000_000) if seconds.isdigit() else 0
