"""Takes batches in: from a request's headers and body to an answer, through the journal and the state.

In: headers, body, the time. Out: an Answer, at once or when the batch is durable.

A batch is looked at first, then journalled, then applied: in the journal's order, so that a replay does the same.
What is refused is refused before it is journalled; what is journalled is counted, and then answered.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from afterglow.emf_limits import MAX_AGE_MS
from afterglow_collector.collect import answers, frames, wire
from afterglow_collector.collect.answers import Answer
from afterglow_collector.collect.batch_ids import MAX_SEQ, Verdict
from afterglow_collector.collect.bodies import BodyError, encoding_code, unpack
from afterglow_collector.collect.clock import Times, certain
from afterglow_collector.collect.counts import Counts
from afterglow_collector.collect.digest import Digest, Digester
from afterglow_collector.collect.entries import BATCH, StoredBatch, decode_batch, encode_batch
from afterglow_collector.collect.journal import Journal
from afterglow_collector.collect.refusals import Refusals
from afterglow_collector.collect.room import Claim, Room
from afterglow_collector.collect.state import State, identity
from afterglow_collector.collect.tokens import ANYBODY, Sender
from afterglow_collector.collect.windows import minutes_of
from afterglow_collector.collect.wire import BatchError

SEQ_HEADER = b"afterglow-seq"
PUBLISHING_MS = 600_000
"""What is nearly two weeks old must still be so when it has been published: ten minutes and the grace less."""

MAX_MINUTES = 2_000
"""Of one batch: a sandbox seals one at 128 KB, some 500 records. Each minute becomes a document, which costs money."""

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
    """A batch that can be taken: what counts of it, what was refused, and its accepted lines if a sink wants them."""

    seq: int
    at_ms: int
    digest: Digest
    refused: Refusals | None
    body: bytes


class _Kept(msgspec.Struct, frozen=True, gc=False):
    """A batch on its way to the disk."""

    received: Received
    claim: Claim
    numbered: tuple[str, int]
    reply: Reply


class Intake:
    """``journal`` None: nothing is durable. ``pass_on`` gets each batch that was counted, with its lsn.

    ``publishing_bytes`` tells how much of what was passed on lies in memory, ``senders`` how many tokens there are.
    """

    def __init__(
        self, state: State, bounds: Bounds, counts: Counts, journal: Journal | None, pass_on: Pass | None
    ) -> None:
        self.state = state
        self.bounds = bounds
        self.counts = counts
        self.journal = journal
        self.pass_on = pass_on
        self.digester = Digester(state.rules.metrics)
        self.publishing_bytes: Callable[[], int] = int
        self.senders: Callable[[], int] = int
        self.room = Room(bounds.windows, lambda: self.senders())  # noqa: PLW0108 - it is set later
        self._under_way: dict[tuple[str, int], list[Reply]] = {}

    def take(
        self, headers: dict[bytes, bytes], body: bytes, now: int | Times, reply: Reply, sender: Sender = ANYBODY
    ) -> None:
        """Take a batch in and answer."""
        full = self._full()
        if full is not None:
            reply(full)
            return
        try:
            received = self._read(headers, body, certain(now) if isinstance(now, int) else now, sender)
        except BodyError as error:
            self._refuse(error.status, str(error), reply)
        except BatchError as error:
            self._refuse(400, error.refusal.reason, reply, line=error.refusal.line, field=error.refusal.field)
        else:
            self._keep(received, reply, sender)

    def replay(self, lsn: int, payload: bytes) -> None:
        """Take in what the journal kept; EntryError, DigestError or SettingsError if it cannot be read."""
        stored = decode_batch(payload)
        digest = self.digester.decode(stored.digest)
        self._apply(lsn, Received(stored.seq, stored.received_ms, digest, None, stored.body))

    def _read(self, headers: dict[bytes, bytes], body: bytes, times: Times, sender: Sender) -> Received:
        """Return what a batch holds, judged by when it was received. BodyError or BatchError if it cannot be taken."""
        bounds, seq, passed_on = self.bounds, _seq(headers), self.pass_on is not None
        encoding = headers.get(b"content-encoding")
        plain = body if encoding is None else self._unpacked(encoding, body)
        oldest_ms = times.earliest_ms - MAX_AGE_MS + PUBLISHING_MS + bounds.grace_ms
        limits = wire.Limits(bounds.line_bytes, oldest_ms, times.latest_ms + bounds.ahead_ms, passed_on)
        batch = wire.decode_batch(plain, limits)
        if sender.functions and not sender.may_send_for(batch.environment.function):
            raise BodyError(403, f"this token is not good for the function {batch.environment.function!r}")
        digest = self.digester.digest(batch)
        most = len(digest.groups) + len(digest.overheads) + len(digest.others)
        if most > MAX_MINUTES and len(minutes_of(digest)) > MAX_MINUTES:
            raise BodyError(413, f"a batch has records of {MAX_MINUTES} minutes at most")
        return Received(seq, times.now_ms, digest, batch.refused, batch.text if passed_on else b"")

    def _unpacked(self, encoding: bytes, body: bytes) -> bytes:
        return unpack(body, encoding_code(encoding.decode("latin-1")), self.bounds.unpacked_bytes, self.bounds.ratio)

    def _full(self) -> Answer | None:
        journal, publishing_bytes = self.journal, self.publishing_bytes()
        journal_bytes = 0 if journal is None else journal.waiting_bytes
        if journal_bytes + publishing_bytes <= self.bounds.queue_bytes:
            return None
        self.counts.full["queue"] += 1
        if journal is not None and journal_bytes >= publishing_bytes:
            return answers.try_again(429, f"{journal.waiting_entries} batches wait for the disk")
        return answers.try_again(429, f"{publishing_bytes} bytes of batches wait to be published")

    def _no_room(self) -> Answer:
        self.counts.full["windows"] += 1
        return answers.try_again(503, f"{len(self.state.windows)} windows are open, and this would be too many", 10)

    def _refuse(self, status: int, detail: str, reply: Reply, **more: object) -> None:
        self.counts.refused_batches[status] = self.counts.refused_batches.get(status, 0) + 1
        reply(answers.problem(status, detail, **more))

    def _keep(self, received: Received, reply: Reply, sender: Sender) -> None:
        numbered = identity(received.digest.environment), received.seq
        waiting = self._under_way.get(numbered)
        if waiting is not None:
            waiting.append(reply)  # sent again before the first one is on disk
            return
        verdict = self.state.ids.look(*numbered)
        if verdict is not Verdict.NEW:
            reply(self._known(verdict, received.seq))
            return
        parts = self._parts(received) if self.journal is not None else (received.body,)
        if not frames.fits(parts):
            self._refuse(413, "the batch holds more than can be kept in one piece; send it in parts", reply)
            return
        claim = self.room.claim(self.state.windows, received.digest, sender.digest)
        if claim is None:
            reply(self._no_room())
        elif self.journal is None:
            reply(self._applied(self.state.lsn + 1, received, claim))
        else:
            self._under_way[numbered] = []
            kept = _Kept(received, claim, numbered, reply)
            self.journal.append(BATCH, parts, lambda lsn, error: self._journalled(lsn, error, kept))

    def _parts(self, received: Received) -> tuple[bytes, ...]:
        digest = self.digester.encode(received.digest)
        return encode_batch(StoredBatch(received.at_ms, received.seq, digest, received.body))

    def _journalled(self, lsn: int, error: OSError | None, kept: _Kept) -> None:
        again = self._under_way.pop(kept.numbered)
        if error is not None:
            self.room.settle(kept.claim, opened=False)
            self.counts.disk_errors += 1
            answer = answers.try_again(503, f"the batch could not be made durable: {error.strerror or error}", 5)
            for one in (kept.reply, *again):
                one(answer)
            return
        kept.reply(self._applied(lsn, kept.received, kept.claim))
        for one in again:
            one(self._known(Verdict.DUPLICATE, kept.received.seq))

    def _applied(self, lsn: int, received: Received, claim: Claim) -> Answer:
        verdict = self._apply(lsn, received)
        if claim.minutes:
            self.room.settle(claim, opened=verdict is Verdict.NEW)
        if verdict is not Verdict.NEW:
            return self._known(verdict, received.seq)
        records, refused = received.digest.records, received.refused
        if refused is None:
            return answers.accepted(records)
        self.counts.refuse_lines(refused)
        return answers.accepted(records, refused.told, len(refused), refused.unread_from)

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
    if not seq.isdigit() or len(seq) > 16 or (number := int(seq)) > MAX_SEQ:
        raise BodyError(400, f"header Afterglow-Seq is no whole number from 0 to {MAX_SEQ}")
    return number
