"""Takes batches in: from a request's headers and body to an answer, through the journal and the state.

In: headers, body, the time. Out: an Answer, at once or when the batch is durable.

A batch is looked at first, then journalled, then applied: in the journal's order, so that a replay does the same.
What is refused is refused before it is journalled; what is journalled is counted, and then answered.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from afterglow.emf_limits import MAX_AGE_MS
from afterglow_collector.collect import answers, wire
from afterglow_collector.collect.answers import Answer
from afterglow_collector.collect.batch_ids import MAX_SEQ, Verdict
from afterglow_collector.collect.bodies import BodyError, encoding_code, unpack
from afterglow_collector.collect.counts import Counts
from afterglow_collector.collect.digest import Digest, Digester
from afterglow_collector.collect.entries import BATCH, StoredBatch, decode_batch, encode_batch
from afterglow_collector.collect.journal import Journal
from afterglow_collector.collect.state import State
from afterglow_collector.collect.wire import BatchError, Refusal

SEQ_HEADER = b"afterglow-seq"
PUBLISHING_MS = 600_000
"""What is nearly two weeks old must still be so when it has been published: ten minutes and the grace less."""

Reply = Callable[[Answer], None]
Pass = Callable[[int, int, bytes], None]


class Bounds(NamedTuple):
    """The limits that a batch is held to."""

    unpacked_bytes: int
    ratio: int
    line_bytes: int
    ahead_ms: int
    grace_ms: int
    queue_bytes: int
    windows: int


class Received(msgspec.Struct, frozen=True, gc=False):
    """A batch that can be taken: what counts of it, what was refused, and its text if a sink wants that."""

    seq: int
    at_ms: int
    digest: Digest
    refusals: list[Refusal]
    body: bytes


class Intake:
    """``journal`` None: nothing is durable. ``pass_on`` gets each batch that was counted, with its lsn."""

    def __init__(
        self, state: State, bounds: Bounds, counts: Counts, journal: Journal | None, pass_on: Pass | None
    ) -> None:
        self.state = state
        self.bounds = bounds
        self.counts = counts
        self.journal = journal
        self.pass_on = pass_on
        self.digester = Digester(state.rules.metrics)
        self._under_way: dict[tuple[str, int], list[Reply]] = {}

    def take(self, headers: dict[bytes, bytes], body: bytes, now_ms: int, reply: Reply) -> None:
        """Take a batch in and answer."""
        full = self._full()
        if full is not None:
            reply(full)
            return
        try:
            received = self._read(headers, body, now_ms)
        except BodyError as error:
            self._refuse(error.status, str(error), reply)
        except BatchError as error:
            self._refuse(400, error.refusal.reason, reply, line=error.refusal.line, field=error.refusal.field)
        else:
            self._keep(received, reply)

    def replay(self, lsn: int, payload: bytes) -> None:
        """Take in what the journal kept; DigestError if it cannot be read."""
        stored = decode_batch(payload)
        digest = self.digester.decode(stored.digest)
        self._apply(lsn, Received(stored.seq, stored.received_ms, digest, [], stored.body))

    def _read(self, headers: dict[bytes, bytes], body: bytes, now_ms: int) -> Received:
        """Return what a batch holds, judged by when it was received. BodyError or BatchError if it cannot be taken."""
        bounds, seq = self.bounds, _seq(headers)
        encoding = encoding_code(headers.get(b"content-encoding", b"").decode("latin-1"))
        plain = unpack(body, encoding, bounds.unpacked_bytes, bounds.ratio)
        oldest_ms = now_ms - MAX_AGE_MS + PUBLISHING_MS + bounds.grace_ms
        batch = wire.decode_batch(plain, wire.Limits(bounds.line_bytes, oldest_ms, now_ms + bounds.ahead_ms))
        digest = self.digester.digest(batch)
        return Received(seq, now_ms, digest, batch.refusals, plain if self.pass_on is not None else b"")

    def _full(self) -> Answer | None:
        journal = self.journal
        if journal is not None and journal.waiting_bytes > self.bounds.queue_bytes:
            self.counts.full["queue"] += 1
            return answers.try_again(429, f"{journal.waiting_entries} batches wait for the disk")
        if len(self.state.windows) >= self.bounds.windows:
            self.counts.full["windows"] += 1
            return answers.try_again(503, f"{len(self.state.windows)} windows are open, the most that may be", 10)
        return None

    def _refuse(self, status: int, detail: str, reply: Reply, **more: object) -> None:
        self.counts.refused_batches[status] = self.counts.refused_batches.get(status, 0) + 1
        reply(answers.problem(status, detail, **more))

    def _keep(self, received: Received, reply: Reply) -> None:
        identity = received.digest.environment.env_id, received.seq
        waiting = self._under_way.get(identity)
        if waiting is not None:
            waiting.append(reply)  # sent again before the first one is on disk
            return
        verdict = self.state.ids.look(*identity)
        if verdict is not Verdict.NEW:
            reply(self._known(verdict, received.seq))
        elif self.journal is None:
            reply(self._applied(self.state.lsn + 1, received))
        else:
            self._under_way[identity] = []
            stored = StoredBatch(received.at_ms, received.seq, self.digester.encode(received.digest), received.body)
            self.journal.append(
                BATCH, encode_batch(stored), lambda lsn, error: self._journalled(lsn, error, received, reply)
            )

    def _journalled(self, lsn: int, error: OSError | None, received: Received, reply: Reply) -> None:
        again = self._under_way.pop((received.digest.environment.env_id, received.seq))
        if error is not None:
            self.counts.disk_errors += 1
            answer = answers.try_again(503, f"the batch could not be made durable: {error.strerror}", 5)
            for one in (reply, *again):
                one(answer)
            return
        reply(self._applied(lsn, received))
        for one in again:
            one(self._known(Verdict.DUPLICATE, received.seq))

    def _applied(self, lsn: int, received: Received) -> Answer:
        verdict = self._apply(lsn, received)
        if verdict is not Verdict.NEW:
            return self._known(verdict, received.seq)
        for refusal in received.refusals:
            self.counts.refuse_line(refusal)
        return answers.accepted(received.digest.records, received.refusals)

    def _apply(self, lsn: int, received: Received) -> Verdict:
        verdict = self.state.apply_batch(lsn, received.seq, received.at_ms, received.digest)
        if verdict is Verdict.NEW and self.pass_on is not None and received.body:
            self.pass_on(lsn, received.at_ms, received.body)
        return verdict

    def _known(self, verdict: Verdict, seq: int) -> Answer:
        if verdict is Verdict.DUPLICATE:
            self.counts.duplicates += 1
            return answers.DUPLICATE
        self.counts.too_far_behind += 1
        detail = f"batch {seq} is too far behind its environment's latest to tell whether it was counted; left out"
        return answers.problem(409, detail)


def _seq(headers: dict[bytes, bytes]) -> int:
    seq = headers.get(SEQ_HEADER)
    if seq is None:
        raise BodyError(400, "header Afterglow-Seq is missing: the batch's number within its environment")
    if not seq.isdigit() or len(seq) > 16 or int(seq) > MAX_SEQ:
        raise BodyError(400, f"header Afterglow-Seq is no whole number from 0 to {MAX_SEQ}")
    return int(seq)
