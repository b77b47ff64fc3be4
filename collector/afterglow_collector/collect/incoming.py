"""What one client sends: HTTP/1.1 bytes in, requests out, and never more kept of either than the limits allow.

In: pieces of what was read, of ``appetite`` bytes at most. Out: ``arrived``, whole requests in their order; or the
Answer to what is none.

httptools (llhttp, Node's parser) parses. All that it hands on is counted here before it is kept: target, headers,
trailers, body. What lies between (a header that does not end, a chunk's extension) is counted by the piece.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import httptools
import msgspec

from afterglow_collector.collect.answers import Answer, problem
from afterglow_collector.collect.tokens import Sender

MAX_HEAD_BYTES = 16 << 10
MAX_HEADERS = 100
"""As Apache has it. Trailers count as headers do, and are dropped: nothing that we ask for stands in them."""

ONCE = frozenset((b"afterglow-seq", b"authorization", b"content-encoding", b"content-length", b"expect", b"host"))
"""Headers that mean nothing when they come twice: two who read them may each believe another one."""

_DISCARDED = 8  # times the largest body: what is read of one that is not wanted, so that its sender hears why


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request. Header names are lower case. A Struct, since one is made for each batch: see ``Digest``.

    ``early`` is the answer where it was known before the body; ``sender`` says whose token was shown.
    """

    method: bytes
    path: bytes
    headers: dict[bytes, bytes]
    body: bytes
    sender: Sender | None
    early: Answer | None
    keep_alive: bool


class Door(Protocol):
    """Who says what may come in."""

    max_body_bytes: int

    def admit(self, method: bytes, path: bytes, headers: dict[bytes, bytes]) -> Answer | Sender:
        """Return whose request it is; or the answer, where its body need not be read."""


class _Refused(Exception):  # noqa: N818 - ends the parser's work from within one of its calls
    pass


class Incoming:
    """``since_s`` is when the request that is coming in began, or the last one ended; ``expect`` gets Expect's answer.

    ``over``: nothing more of what this client sends is a request.
    """

    def __init__(self, door: Door, now_s: Callable[[], float], expect: Callable[[Answer | None], None]) -> None:
        self.arrived: deque[Request] = deque()
        self.since_s = now_s()
        self.receiving = True  # from the start, so that a client that says nothing counts as slow
        self.over = False
        self._door = door
        self._now_s = now_s
        self._expect = expect
        self._parser = httptools.HttpRequestParser(self)
        self._refusal: Answer | None = None
        self._headers: dict[bytes, bytes]
        self._body: bytes | bytearray
        self._sender: Sender | None
        self._early: Answer | None
        self._begin()

    @property
    def appetite(self) -> int:
        """How many bytes may be fed at once: what is left of a body, or a piece in which little can begin."""
        left = self._expected - self._size
        return left if left > MAX_HEAD_BYTES else MAX_HEAD_BYTES

    def feed(self, data: bytes) -> Answer | None:
        """Parse what came; return the answer to what is no request, after which nothing is."""
        self._unkept += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.over = True  # the request is answered as if it had not asked to go on in another protocol
        except httptools.HttpParserError as error:
            self.over = True
            return self._refusal or problem(400, f"not HTTP: {error}")
        if self._unkept > MAX_HEAD_BYTES:
            return _too_long_a_head()
        if self._early is not None and self._size > _DISCARDED * self._door.max_body_bytes:
            return self._early
        return None

    # What httptools calls, in this order.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.receiving = True
        self.since_s = self._now_s()

    def on_url(self, url: bytes) -> None:
        """Take the target, or a part of it."""
        self._head_bytes += len(url)
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_too_long_a_head())
        self._url += url

    def on_header(self, name: bytes, value: bytes | None) -> None:
        """Take a header; a trailer is counted, and dropped."""
        value = value or b""
        self._head_bytes += len(name) + len(value) + 4
        self._headers_seen += 1
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_too_long_a_head())
        if self._headers_seen > MAX_HEADERS:
            self._refuse(problem(431, f"a request has at most {MAX_HEADERS} headers"))
        if self._head_done:
            return
        name = name.lower()
        if name in self._headers and name in ONCE and self._early is None:
            self._early = problem(400, f"header {name.decode('latin-1').title()} came twice")
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        """Look whether the body is wanted at all."""
        self._head_done = True
        self._unkept = 0
        headers = self._headers
        self._method, self._path = self._parser.get_method(), self._url.partition(b"?")[0]
        self._expected = int(headers.get(b"content-length", b"0"))
        if self._early is None:
            admitted = self._door.admit(self._method, self._path, headers)
            if isinstance(admitted, Answer):
                self._early = admitted
            else:
                self._sender = admitted
                if self._expected > self._door.max_body_bytes:
                    self._early = self._too_large()
        if headers.get(b"expect", b"").lower() == b"100-continue":
            self._expect(self._early)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, unless the answer is known already."""
        self._unkept = 0
        self._size += len(body)
        if self._early is not None:
            return
        if self._size > self._door.max_body_bytes:
            self._early = self._too_large()
            self._body = b""
        elif not self._body:
            self._body = body
        else:  # one growing piece: a list of small ones takes many times their size
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += body

    def on_message_complete(self) -> None:
        """Have the request ready; unless it was answered when it asked, before its body."""
        if self.over:
            return
        parser = self._parser
        keep_alive = parser.should_keep_alive() and not parser.should_upgrade()
        body = bytes(self._body)
        request = Request(self._method, self._path, self._headers, body, self._sender, self._early, keep_alive)
        self._begin()
        self.receiving = False
        self.since_s = self._now_s()
        self.arrived.append(request)

    def _begin(self) -> None:
        self._url = self._path = self._method = b""
        self._headers = {}
        self._headers_seen = 0
        self._head_bytes = 0
        self._head_done = False
        self._body = b""
        self._expected = self._size = 0
        self._unkept = 0  # bytes since anything was made of them
        self._sender = None
        self._early = None

    def _refuse(self, answer: Answer) -> None:
        self._refusal = answer
        raise _Refused

    def _too_large(self) -> Answer:
        return problem(413, f"a body has at most {self._door.max_body_bytes} bytes as sent")


def _too_long_a_head() -> Answer:
    return problem(431, f"the head of a request, trailers included, has at most {MAX_HEAD_BYTES} bytes")
