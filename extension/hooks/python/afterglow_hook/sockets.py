"""What a thread's sockets say of it: whether it has asked something and has no answer yet. In: descriptors. Out: facts.

The kernel knows when a TCP connection last sent and last received data (tcp_info, in linux/tcp.h). One that has sent
since it last received awaits an answer: a request is under way. One that has received since waits to be told something.
"""

from __future__ import annotations

import _socket
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_DESCRIPTORS = 64
TICK_NS = 5_000_000
"""Of the kernel's clock that says when a connection was last used: a tick is 1 to 4 ms."""
_SYN_SENT = 2
_SENT_AGO, _RECEIVED_AGO = slice(44, 48), slice(52, 56)  # ms since data was sent and received
_RECEIVED = slice(128, 136)  # bytes
_SEGMENTS_OUT = slice(156, 160)  # with data in them
_TCP_INFO_BYTES = 160
_X86 = os.uname().machine == "x86_64"
_DIRECT = (0, 45, 47, 42, 44, 46, 1, 20) if _X86 else (63, 207, 212, 203, 206, 211, 64, 66)
"""read, recvfrom, recvmsg, connect, sendto, sendmsg, write, writev: the descriptor is the first argument."""
_POLLS = (7, 271) if _X86 else (73,)
_SELECTS = (23, 270) if _X86 else (72,)
_EPOLLS = (232, 281, 441) if _X86 else (22, 441)


def awaited_ms(call: tuple[int, ...]) -> float | None:
    """Return for how long an answer has been awaited, of the system call ``(number, arguments…)``; None: for none.

    The shortest where several connections await one.
    """
    waits = [waited for descriptor in descriptors_of(call) if (waited := unanswered_ms_of(descriptor)) is not None]
    return min(waits, default=None)


def talks_to(call: tuple[int, ...], address: tuple[str, int]) -> bool:
    """Return whether one of the system call's sockets is connected to this address."""
    return any(_peer(descriptor) == address for descriptor in descriptors_of(call))


def descriptors_of(call: tuple[int, ...]) -> list[int]:
    """Return the descriptors that a system call works on or waits for."""
    number, arguments = (call[0], call[1:]) if call else (-1, ())
    try:
        if number in _DIRECT:
            return [arguments[0]]
        if number in _POLLS:
            return _polled(arguments[0], min(arguments[1], MOST_DESCRIPTORS))
        if number in _SELECTS:
            return _selected(arguments[0], arguments[1:4])
        if number in _EPOLLS:
            return _watched(arguments[0])
    except (OSError, IndexError, ValueError):
        pass  # it has gone on in this moment
    return []


def _memory(address: int, size: int) -> bytes:
    """Return a piece of our own memory, without a crash where there is none."""
    own = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(own, size, address)
    finally:
        os.close(own)


def _polled(address: int, count: int) -> list[int]:
    polled = _memory(address, 8 * count)  # struct pollfd: an int and two shorts
    return [_number(polled[at : at + 4]) for at in range(0, 8 * count, 8)]


def _selected(count: int, addresses: tuple[int, ...]) -> list[int]:
    found: list[int] = []
    for address in addresses:
        if address:
            bits = int.from_bytes(_memory(address, (min(count, 1024) + 7) // 8), "little")
            found += [descriptor for descriptor in range(count) if bits >> descriptor & 1]
    return found[:MOST_DESCRIPTORS]


def _watched(epoll: int) -> list[int]:
    """``tfd:        7 events: …`` for each descriptor of an epoll set (proc(5))."""
    info = os.open(f"/proc/self/fdinfo/{epoll}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        lines = os.read(info, 16_384).split(b"\n")
    finally:
        os.close(info)
    return [int(line.split()[1]) for line in lines if line.startswith(b"tfd:")][:MOST_DESCRIPTORS]


def _with_socket(descriptor: int, ask: Any) -> Any:
    """Ask a copy of a descriptor; None where it is no connected socket."""
    copy = None
    try:
        copy = _socket.socket(fileno=os.dup(descriptor))
        return ask(copy)
    except OSError:
        return None
    finally:
        if copy is not None:
            copy.close()


def _peer(descriptor: int) -> Any:
    return _with_socket(descriptor, lambda copy: copy.getpeername()[:2] if copy.family != _socket.AF_UNIX else None)


def _tcp_info(descriptor: int) -> bytes | None:
    info: bytes | None = _with_socket(
        descriptor, lambda copy: copy.getsockopt(_socket.IPPROTO_TCP, _socket.TCP_INFO, _TCP_INFO_BYTES)
    )
    return info


def unanswered_ms_of(descriptor: int) -> float | None:
    """Return for how long a socket has awaited an answer; None: it awaits none, or is no TCP socket."""
    info = _tcp_info(descriptor)
    return None if info is None else unanswered_ms(info)


def unanswered_ms(info: bytes) -> float | None:
    """Return how long ago data was sent that nothing has been received since; None: there is no such data."""
    if len(info) < _TCP_INFO_BYTES:
        return None  # a kernel older than any that Lambda has
    if info[0] == _SYN_SENT:
        return 0.0
    if not _number(info[_SEGMENTS_OUT]):
        return None
    sent_ms, received_ms = _number(info[_SENT_AGO]), _number(info[_RECEIVED_AGO])
    # Both clocks tick every 1 to 4 ms: within one tick nobody knows which came first, and doubt is no evidence.
    return float(sent_ms) if sent_ms < received_ms or not _number(info[_RECEIVED]) else None


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, sys.byteorder)
