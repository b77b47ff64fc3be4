"""One client's connection: HTTP/1.1 in, answers out, in the order of the requests.

In: bytes from the transport. Out: complete Requests to ``Front.serve``, and the bytes of their Answers.

httptools (llhttp, Node's parser) parses; this module keeps the limits: sizes, the number of requests on their way,
and through ``check`` the time that a request may take to come in. No task and no coroutine is made for a request:
that is most of what a framework costs here (docs/decisions/0020-http-without-a-framework.md).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import httptools
import msgspec

from afterglow_collector.collect.answers import Answer, encode, problem
from afterglow_collector.collect.together import Together

MAX_HEAD_BYTES = 16 << 10
MAX_UNDER_WAY = 16
"""Requests of one connection that wait for their answers; beyond it nothing more is read from it."""


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request. Header names are lower case. A Struct, since one is made for each batch: see ``Digest``."""

    method: bytes
    path: bytes
    headers: dict[bytes, bytes]
    body: bytes


Reply = Callable[[Answer], None]


class Front(Protocol):
    """What a connection asks of the service. ``connections`` holds all that are open."""

    connections: set["Connection"]
    max_body_bytes: int
    max_connections: int
    stopping: bool

    def admit(self, method: bytes, path: bytes, headers: dict[bytes, bytes]) -> Answer | None:
        """Return the answer to a request whose body need not be read."""

    def serve(self, request: Request, reply: Reply) -> None:
        """Answer the request, now or later."""


class Slot:
    """The place of one answer in the order."""

    __slots__ = ("answer", "connection", "head_only", "keep_alive")

    def __init__(self, connection: "Connection", *, keep_alive: bool, head_only: bool) -> None:
        self.connection = connection
        self.keep_alive = keep_alive
        self.head_only = head_only
        self.answer: Answer | None = None

    def fill(self, answer: Answer) -> None:
        """Take the answer; it is sent with the others of this turn."""
        self.answer = answer
        self.connection.together.send(self.connection)


class Connection(asyncio.Protocol):
    """``since_s`` is the loop's time when the request that is coming in began, or the last one ended."""

    def __init__(self, front: Front, now_s: Callable[[], float], together: Together) -> None:
        self.front = front
        self.together = together
        self.now_s = now_s
        self.since_s = now_s()
        self.receiving = True  # from the start, so that a client that says nothing counts as slow
        self.parser = httptools.HttpRequestParser(self)
        self.slots: deque[Slot] = deque()
        self.transport: Any = None
        self._paused = False
        self._writable = True
        self._closing = False
        self._deaf = False
        self._ended = False
        self._early: Answer | None = None
        self._begin()

    def connection_made(self, transport: Any) -> None:
        """Take the connection, unless there are too many."""
        self.transport = transport
        if len(self.front.connections) >= self.front.max_connections:
            self._refuse(problem(503, "too many connections"))
            return
        self.front.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the Protocol's signature
        """Forget the connection; answers that still come go nowhere."""
        self.front.connections.discard(self)
        self._closing = True

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._closing or self._deaf:
            return
        self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # the request is answered as if it had not asked to go on in another protocol
        except httptools.HttpParserError as error:
            self._refuse(problem(400, f"not HTTP: {error}"))
        if not self._head_done and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(problem(431, f"the head of a request has at most {MAX_HEAD_BYTES} bytes"))

    def eof_received(self) -> bool:
        """Let a client that says no more have the answers that it waits for; TLS knows no such thing."""
        self.send_answers()
        self._ended = bool(self.slots) and self.transport.get_extra_info("sslcontext") is None
        return self._ended

    def pause_writing(self) -> None:
        """Read no more from a client that does not read its answers."""
        self._writable = False
        self._pace()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable = True
        self._pace()

    def check(self, now_s: float, request_timeout_s: float, idle_timeout_s: float) -> None:
        """Close a connection that is slower, or idle for longer, than it may be."""
        waited_s = now_s - self.since_s
        if not self._writable and waited_s > request_timeout_s:
            self.transport.abort()
        elif self.receiving and waited_s > request_timeout_s:
            self._refuse(problem(408, f"the request did not come in within {request_timeout_s:g} s"))
        elif not self.receiving and not self.slots and waited_s > idle_timeout_s:
            self.transport.close()

    def close_when_idle(self) -> None:
        """Close now, or with the last answer that is under way."""
        if not self.slots and not self._closing:
            self._closing = True
            self.transport.close()

    # What httptools calls, in this order.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.receiving = True
        self.since_s = self.now_s()

    def on_url(self, url: bytes) -> None:
        """Take the target, or a part of it."""
        self._url += url

    def on_header(self, name: bytes, value: bytes | None) -> None:
        """Take a header. A second Content-Length is refused by the parser."""
        self._headers[name.lower()] = value or b""

    def on_headers_complete(self) -> None:
        """Look whether the body is wanted at all."""
        self._head_done = True
        headers = self._headers
        self._method, self._path = self.parser.get_method(), self._url.partition(b"?")[0]
        self._early = self.front.admit(self._method, self._path, headers)
        if self._early is None and int(headers.get(b"content-length", b"0")) > self.front.max_body_bytes:
            self._early = self._too_large()
        if headers.get(b"expect", b"").lower() == b"100-continue" and not self.slots:
            if self._early is not None:  # the client waits for this before it sends its body
                self._refuse(self._early)
            else:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, unless the answer is known already."""
        if self._early is not None:
            return
        self._size += len(body)
        if self._size > self.front.max_body_bytes:
            self._early = self._too_large()
            self._parts.clear()
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """Hand the request on."""
        keep_alive = self.parser.should_keep_alive() and not self.parser.should_upgrade()
        slot = Slot(self, keep_alive=keep_alive, head_only=self._method == b"HEAD")
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        request, early = Request(self._method, self._path, self._headers, body), self._early
        self._begin()
        self.receiving = False
        self.since_s = self.now_s()
        self.slots.append(slot)
        if len(self.slots) >= MAX_UNDER_WAY:
            self._pace()
        if early is not None:
            slot.fill(early)
        else:
            self.front.serve(request, slot.fill)

    def send_answers(self) -> None:
        """Write what is answered, as far as nothing before it is open."""
        out: list[bytes] = []
        last = False
        while self.slots and not last and (first := self.slots[0]).answer is not None:
            self.slots.popleft()
            last = not first.keep_alive or self.front.stopping or (self._ended and not self.slots)
            out.append(encode(first.answer, keep_alive=not last, body=not first.head_only))
        if out and not self._closing:
            self.transport.write(out[0] if len(out) == 1 else b"".join(out))
            if last:
                self._closing = True
                self.transport.close()
        if self._paused:
            self._pace()

    def _begin(self) -> None:
        self._url = self._path = self._method = b""
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._size = 0
        self._head_bytes = 0
        self._head_done = False
        self._early = None

    def _too_large(self) -> Answer:
        return problem(413, f"a body has at most {self.front.max_body_bytes} bytes as sent")

    def _refuse(self, answer: Answer) -> None:
        """Answer what is not, or not yet, a request, behind what was answered before it, and close."""
        self.send_answers()
        if not self._closing:
            self._closing = True
            self.transport.write(encode(answer, keep_alive=False))
            self.transport.close()

    def _pace(self) -> None:
        """Read only while answers can be written, and not too many are owed."""
        wanted = self._writable and len(self.slots) < MAX_UNDER_WAY
        if self._closing or wanted is not self._paused:
            return
        self._paused = not wanted
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()
