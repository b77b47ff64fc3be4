"""What the service answers: status, body, headers, as bytes for the wire.

In: what came of a request. Out: an Answer. Problems are JSON objects ``{"status", "title", "detail"}`` (RFC 9457,
application/problem+json); whoever may try again is told when, by Retry-After.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

from afterglow_collector.collect.refusals import MAX_TOLD, Refusal

JSON = b"application/json"
PROBLEM = b"application/problem+json"
TEXT = b"text/plain; charset=utf-8"
RETRY_AFTER_S = 1
SHORT_BYTES = 64  # of an answer's body that is kept, once encoded


class Answer(NamedTuple):
    """One response."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


def encode(answer: Answer, *, keep_alive: bool, body: bool = True) -> bytes:
    """Return the response's bytes; ``body`` False for HEAD."""
    known = len(answer.body) <= SHORT_BYTES  # what is said again and again: that a batch was taken
    return (_kept if known else _encoded)(answer, keep_alive, body)


def _encoded(answer: Answer, keep_alive: bool, body: bool) -> bytes:
    more = b"".join([b"%b: %b\r\n" % header for header in answer.headers])
    return b"%bcontent-type: %b\r\ncontent-length: %d\r\n%b%b\r\n%b" % (
        _STATUS_LINES[answer.status],
        answer.content_type,
        len(answer.body),
        more,
        b"" if keep_alive else b"connection: close\r\n",
        answer.body if body else b"",
    )


_kept = lru_cache(1024)(_encoded)


def accepted(
    records: int, refusals: Sequence[Refusal] = (), refused: int | None = None, unread_from: int | None = None
) -> Answer:
    """Return 202: the batch is durable and counted, the first of the lines that were refused are named.

    ``refused`` is how many there are, if it is more than are given; from ``unread_from`` on they were not looked at.
    """
    if not refusals:
        return _accepted_all(records)
    told = [refusal._asdict() for refusal in refusals[:MAX_TOLD]]
    said = {"accepted": records, "refused": refused or len(refusals), "duplicate": False, "refusals": told}
    if unread_from is not None:
        said["unread_from"] = unread_from
    return _json(202, said)


@lru_cache(1024)
def _accepted_all(records: int) -> Answer:
    return Answer(202, b'{"accepted":%d,"refused":0,"duplicate":false}' % records)


DUPLICATE = Answer(202, b'{"accepted":0,"refused":0,"duplicate":true}')
"""The batch was counted when it came before; the sender can forget it."""


def problem(status: int, detail: str, **more: Any) -> Answer:
    """Return a problem that will be the same when the request is sent again."""
    return _json(status, _problem(status, detail, more), PROBLEM)


def try_again(status: int, detail: str, after_s: int = RETRY_AFTER_S) -> Answer:
    """Return a problem that passes: 429 or 503 with Retry-After."""
    header = (b"retry-after", b"%d" % after_s)
    return _json(status, _problem(status, detail, {}), PROBLEM)._replace(headers=(header,))


def _problem(status: int, detail: str, more: dict[str, Any]) -> dict[str, Any]:
    return {"status": status, "title": HTTPStatus(status).phrase, "detail": detail, **more}


def _json(status: int, document: dict[str, Any], content_type: bytes = JSON) -> Answer:
    return Answer(status, json.dumps(document, separators=(",", ":")).encode(), content_type)
