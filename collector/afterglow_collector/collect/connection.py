"""One client's connection: requests in, answers out, in the order of the requests.

In: bytes from the transport. Out: complete Requests to ``Front.serve``, and the bytes of their Answers.

This module keeps to a number of requests on their way, whatever a client sends in one go, and through ``check`` to the
time that a request may take to come in. No task and no coroutine is made for a request: that is most of what a
framework costs here (docs/decisions/0020-http-without-a-framework.md).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from afterglow_collector.collect.answers import Answer, encode, problem
from afterglow_collector.collect.incoming import MAX_HEAD_BYTES, Door, Incoming, Request
from afterglow_collector.collect.together import Together

MAX_UNDER_WAY = 16
"""Requests of one connection that wait for their answers; beyond it nothing more is read from it, or parsed."""

Reply = Callable[[Answer], None]


class Front(Door, Protocol):
    """What a connection asks of the service. ``connections`` holds all that are open."""

    connections: set["Connection"]
    max_connections: int
    stopping: bool

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
    """``_rest`` is what was read and not parsed yet, because too many answers are owed."""

    def __init__(self, front: Front, now_s: Callable[[], float], together: Together) -> None:
        self.front = front
        self.together = together
        self.incoming = Incoming(front, now_s, self._expected)
        self.slots: deque[Slot] = deque()
        self.transport: Any = None
        self._rest = b""
        self._last: Answer | None = None  # to what is no request; said behind all others
        self._paused = False
        self._writable = True
        self._closing = False
        self._ended = False

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
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Parse what came, as far as its answers may be owed."""
        if self._closing or self.incoming.over:
            return
        if self._rest or self._paused or len(data) > MAX_HEAD_BYTES:
            self._rest += data
            self._go_on()
            return
        refusal = self.incoming.feed(data)  # as below, for a request that comes in one small piece
        if refusal is not None:
            self._refuse(refusal)
        arrived = self.incoming.arrived
        if len(arrived) == 1 and len(self.slots) < MAX_UNDER_WAY - 1:
            self._serve(arrived.popleft())
        elif arrived:
            self._go_on()

    def eof_received(self) -> bool:
        """Let a client that says no more have the answers that it waits for; TLS knows no such thing."""
        self.send_answers()
        self._ended = self._owes() and self.transport.get_extra_info("sslcontext") is None
        return self._ended

    def pause_writing(self) -> None:
        """Read no more from a client that does not read its answers."""
        self._writable = False
        self._pace()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable = True
        self._go_on()

    def check(self, now_s: float, request_timeout_s: float, idle_timeout_s: float) -> None:
        """Close a connection that is slower, or idle for longer, than it may be."""
        incoming = self.incoming
        waited_s = now_s - incoming.since_s
        if (self._closing or not self._writable) and waited_s > request_timeout_s:
            self.transport.abort()
        elif incoming.receiving and not incoming.over and waited_s > request_timeout_s:
            self._refuse(problem(408, f"the request did not come in within {request_timeout_s:g} s"))
        elif not incoming.receiving and not self._owes() and waited_s > idle_timeout_s:
            self._close()

    def close_when_idle(self) -> None:
        """Close now, or with the last answer that is under way."""
        if not self._owes() and not self._closing:
            self._close()

    def send_answers(self) -> None:
        """Write what is answered, as far as nothing before it is open."""
        out: list[bytes] = []
        last = False
        while self.slots and not last and (first := self.slots[0]).answer is not None:
            self.slots.popleft()
            last = not first.keep_alive or self.front.stopping or (self._ended and not self._owes())
            out.append(encode(first.answer, keep_alive=not last, body=not first.head_only))
        if out and not self._closing:
            self.transport.write(out[0] if len(out) == 1 else b"".join(out))
            if last:
                self._close()
        if self._paused or self._rest or self._last is not None:
            self._go_on()

    def _go_on(self) -> None:
        """Serve, and parse on, as long as there is something and its answer may be owed."""
        incoming = self.incoming
        while self._may_owe() and (incoming.arrived or self._rest):
            if incoming.arrived:
                self._serve(incoming.arrived.popleft())
                continue
            data, size = self._rest, incoming.appetite
            self._rest = b"" if len(data) <= size else data[size:]
            refusal = incoming.feed(data if len(data) <= size else data[:size])
            if refusal is not None:
                self._refuse(refusal)
            elif incoming.over:
                self._rest = b""
        if self._last is not None and not incoming.arrived:
            slot = Slot(self, keep_alive=False, head_only=False)
            self.slots.append(slot)
            answer, self._last = self._last, None
            slot.fill(answer)
        if self._ended and not self._closing and not self._owes():
            self._close()
        self._pace()

    def _serve(self, request: Request) -> None:
        slot = Slot(self, keep_alive=request.keep_alive, head_only=request.method == b"HEAD")
        self.slots.append(slot)
        if request.early is not None:
            slot.fill(request.early)
        else:
            self.front.serve(request, slot.fill)

    def _expected(self, early: Answer | None) -> None:
        """Answer a client that asks before it sends its body; one that waits for other answers has to do without."""
        if self.slots or self.incoming.arrived or self._closing:
            return
        if early is not None:
            self._refuse(early)
        else:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _refuse(self, answer: Answer) -> None:
        """Answer what is not, or not yet, a request, behind all that came before it, and close."""
        self.incoming.over = True
        self._rest = b""
        if self._closing or self._last is not None:
            return
        self._last = answer
        self.together.send(self)

    def _close(self) -> None:
        self._closing = True
        self._rest = b""
        self.transport.close()

    def _owes(self) -> bool:
        return bool(self.slots or self.incoming.arrived or self._rest or self._last is not None)

    def _may_owe(self) -> bool:
        return self._writable and len(self.slots) < MAX_UNDER_WAY and not self._closing

    def _pace(self) -> None:
        """Read only while answers can be written, not too many are owed, and all that was read is parsed."""
        wanted = self._may_owe() and not self._rest
        if self._closing or wanted is not self._paused:
            return
        self._paused = not wanted
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()
