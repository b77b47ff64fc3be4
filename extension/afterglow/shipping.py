"""Ships records to a collector. In: records. Out: batches, each sent until it is taken, or dropped and counted.

A batch keeps its number however often it is sent, so a collector can tell what it has counted already. Bounded:
so much in memory, then so much in /tmp, then the oldest batch is dropped. Sent while an invocation runs and at
SHUTDOWN, never in between: there the environment may be frozen at any moment, and the time is billed.
"""

import os
import zlib
from collections.abc import Callable
from typing import NamedTuple

from afterglow.address import Address
from afterglow.exchange import Exchange, Failed
from afterglow.records import Environment, Record, Sample
from afterglow.records import encode as encode_record

BATCH_BYTES = 131_072  # of lines, before compression
OPEN_MS = 5_000  # how long a batch gathers records; a collector waits longer than that for late ones
MEMORY_BYTES = 524_288  # of packed batches
DISK_BYTES = 8_388_608
FIRST_PAUSE_NS = 200_000_000
LONGEST_PAUSE_NS = 30_000_000_000
ANSWER_WITHIN_NS = 5_000_000_000
TAKEN = (200, 202, 204)
NEVER = (400, 401, 403, 404, 413, 415, 422)  # sending it again would change nothing


class Batch(NamedTuple):
    """A sealed batch. ``body`` is in memory, or None when it lies in ``file``."""

    seq: int
    records: int
    size: int
    body: bytes | None
    file: str | None


class Spool:
    """Batches that wait, oldest first: in memory, then on disk, then no more."""

    def __init__(self, folder: str, name: str) -> None:
        self.prefix = f"{folder}/afterglow-{name}"
        self.batches: list[Batch] = []
        self.dropped: dict[str, int] = {}

    def add(self, seq: int, records: int, body: bytes) -> None:
        """Keep one more batch."""
        in_memory = sum(batch.size for batch in self.batches if batch.body is not None)
        if in_memory + len(body) <= MEMORY_BYTES:
            self.batches.append(Batch(seq, records, len(body), body, None))
            return
        on_disk = sum(batch.size for batch in self.batches if batch.file is not None)
        while on_disk + len(body) > DISK_BYTES and self.batches:
            gone = self.drop(0, "spool-full")
            on_disk -= gone.size if gone.file is not None else 0
        file = f"{self.prefix}-{seq}"
        try:
            fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as spooled:
                spooled.write(body)
            self.batches.append(Batch(seq, records, len(body), None, file))
        except OSError as error:
            self._count(f"spool: {error.strerror}", records)

    def first(self) -> tuple[Batch, bytes] | None:
        """Return the oldest batch that can be read, with its body."""
        while self.batches:
            batch = self.batches[0]
            if batch.body is not None:
                return batch, batch.body
            try:
                with open(str(batch.file), "rb") as spooled:  # noqa: PTH123 - no pathlib in the sandbox
                    return batch, spooled.read()
            except OSError as error:
                self.drop(0, f"spool: {error.strerror}")
        return None

    def done(self, seq: int) -> None:
        """Forget a batch that has been taken."""
        for position, batch in enumerate(self.batches):
            if batch.seq == seq:
                self._remove(position)
                return

    def drop(self, position: int, reason: str) -> Batch:
        """Give a batch up, and count its records."""
        batch = self._remove(position)
        self._count(reason, batch.records)
        return batch

    def close(self, reason: str) -> None:
        """Give up everything that is left."""
        while self.batches:
            self.drop(0, reason)

    def _remove(self, position: int) -> Batch:
        batch = self.batches.pop(position)
        if batch.file is not None:
            try:
                os.unlink(batch.file)  # noqa: PTH108 - no pathlib in the sandbox
            except OSError:
                self._count("spool-file-left", 0)
        return batch

    def _count(self, reason: str, records: int) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + records


class Shipper:
    """An outlet that sends batches through a non-blocking exchange; the loop polls it."""

    def __init__(
        self,
        address: Address,
        token: str,
        environment: Environment,
        clock_ns: Callable[[], int],
        tmp: str = "/tmp",  # noqa: S108 - Lambda's ephemeral storage
    ) -> None:
        self.address = address
        self.token = token
        self.env_id = environment.env_id
        self.head = encode_record(environment)
        self.clock_ns = clock_ns
        self.spool = Spool(tmp, environment.env_id)
        self.bytes_out = 0
        self.retries = 0
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
        line = encode_record(record)
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
            status = self._exchange.step()
        except Failed:
            self._again(now_ns)
            return
        if status is not None:
            self._judge(status, now_ns)
        elif now_ns > self._give_up_ns:
            self._again(now_ns)

    def _start(self, now_ns: int) -> None:
        first = self.spool.first()
        if first is None:
            return
        self._sending, body = first
        self._give_up_ns = now_ns + ANSWER_WITHIN_NS
        request = self._request(self._sending.seq, body)
        try:
            self._exchange = Exchange(self.address, request)
            self.bytes_out += len(request)
        except (Failed, OSError, ImportError):
            self._again(now_ns)

    def _request(self, seq: int, body: bytes) -> bytes:
        host = "localhost" if self.address.scheme == "unix" else f"{self.address.host}:{self.address.port}"
        lines = [
            f"POST {self.address.path} HTTP/1.1",
            f"Host: {host}",
            "Content-Type: application/x-ndjson",
            "Content-Encoding: gzip",
            f"Content-Length: {len(body)}",
            f"Afterglow-Seq: {seq}",
            "Connection: close",
        ]
        if self.token:
            lines.append(f"Authorization: Bearer {self.token}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    def _judge(self, status: int, now_ns: int) -> None:
        sending = self._sending
        if sending is None or status not in (*TAKEN, *NEVER):
            self._again(now_ns)
            return
        self._exchange = self._sending = None
        self.retries = 0
        if status in TAKEN:
            self.spool.done(sending.seq)
        else:
            position = next((i for i, batch in enumerate(self.spool.batches) if batch.seq == sending.seq), None)
            if position is not None:
                self.spool.drop(position, f"refused-{status}")

    def _again(self, now_ns: int) -> None:
        """Try the same batch later: exponential backoff with full jitter (AWS Architecture Blog, 2015)."""
        if self._exchange is not None:
            self._exchange.close()
        self._exchange = self._sending = None
        longest_ns = min(LONGEST_PAUSE_NS, FIRST_PAUSE_NS * 2 ** min(self.retries, 10))
        self.retries += 1
        self._not_before_ns = now_ns + longest_ns * os.urandom(1)[0] // 255

    def hurry(self) -> None:
        """SHUTDOWN: there is no later, so no pause either."""
        self._not_before_ns = 0
