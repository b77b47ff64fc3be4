"""What the launcher did before there was a Python, taken over. In: its last argument. Out: a Handoff.

The launcher (layer/afterglow_layer/native) has registered and subscribed, and its child answers Lambda's events
until ``take_over`` asks what there was. docs/decisions/0014-a-launcher-before-python.md says why.
"""

import _socket
import posix

from afterglow.boot import Handoff, is_shutdown, open_listener
from afterglow.runtime_api import ApiError, RuntimeApi, parse_answer
from afterglow.subscription import Subscription

_RECEIVE_BYTES = 262_144
_HEAD_BYTES = 13  # kind, a number of 8 bytes, a length of 4, little-endian


class Entry:
    """One thing that the child kept: ``R`` register's answer, ``K`` kills, ``E`` an event, ``L`` what is left."""

    __slots__ = ("kind", "number", "payload")

    def __init__(self, kind: bytes, number: int, payload: bytes) -> None:
        self.kind = kind
        self.number = number
        """R, E: when it came, on CLOCK_MONOTONIC, in ns. L: whether a /next is on the wire. K: how many processes the
        kernel had killed for memory when the child began; negative: unknown."""
        self.payload = payload  # R, E: a whole HTTP answer


class Answerer:
    """The launcher's child, and the connection to it."""

    __slots__ = ("_pid", "_sock")

    def __init__(self, sock: "_socket.socket", pid: int) -> None:
        self._sock = sock
        self._pid = pid

    def stop(self) -> bytes:
        """Let it end, and return what it has to say."""
        told = b""
        try:
            self._sock.shutdown(_socket.SHUT_WR)
            while data := self._sock.recv(_RECEIVE_BYTES):
                told += data
        finally:
            self._sock.close()
            self._reap()
        return told

    def _reap(self) -> None:
        if self._pid > 0:
            try:
                posix.waitpid(self._pid, 0)
            except ChildProcessError:  # whoever started us ignores SIGCHLD: then the kernel has done it
                return


def parse_entries(data: bytes) -> list[Entry]:
    """Return what stands in ``data``; without an ``L`` at the end when it was cut off."""
    entries, at = [], 0
    while len(data) - at >= _HEAD_BYTES:
        number = int.from_bytes(data[at + 1 : at + 9], "little", signed=True)
        end = at + _HEAD_BYTES + int.from_bytes(data[at + 9 : at + _HEAD_BYTES], "little")
        if end > len(data):
            break
        entries.append(Entry(data[at : at + 1], number, data[at + _HEAD_BYTES : end]))
        at = end
    return entries


def adopt(inherited: str, runtime_api: str) -> Handoff:
    """Return the handoff that the launcher's argument describes (``hand_on`` in register.c); events come later."""
    own, api, listener, telemetry_listener, telemetry, pid, started_ns, cpu_ns = map(int, inherited.split(","))
    heard = _quiet(listener) or open_listener(runtime_api)  # what failed once fails again, and says why
    handoff = Handoff(RuntimeApi(runtime_api, _socket.socket(fileno=api) if api >= 0 else None), heard)
    handoff.started_mono_ns, handoff.boot_cpu_ns = started_ns, cpu_ns
    handoff.answerer = Answerer(_socket.socket(fileno=own), pid)
    if telemetry_listener >= 0:
        opened = (_quiet(telemetry_listener), _quiet(telemetry))
        handoff.subscription = Subscription(runtime_api, b"", opened=opened)
    return handoff


def _quiet(descriptor: int) -> "_socket.socket | None":
    """Return a socket that never blocks."""
    if descriptor < 0:
        return None
    sock = _socket.socket(fileno=descriptor)
    sock.setblocking(False)
    return sock


def take_over(handoff: Handoff) -> None:
    """Take the events that came, and go on calling ``/next`` where the child has stopped.

    ApiError when it did not come to its end. Then its ``/next`` is on the wire, and that is all that is known.
    """
    if handoff.answerer is None:
        return
    answerer, handoff.answerer = handoff.answerer, None
    api, came, kind = handoff.api, 0, b""
    for entry in parse_entries(answerer.stop()):
        kind = entry.kind
        if entry.kind == b"R":
            _identify(handoff, entry)
        elif entry.kind == b"K":
            handoff.oom_kills = entry.number if entry.number >= 0 else None
        if entry.kind in b"RK":
            continue
        came = entry.number if entry.kind == b"E" else came
        api.resume(entry.payload, pending=entry.kind == b"E" or bool(entry.number))
        while (answer := api.take()) is not None:
            if answer.status != 200:
                raise ApiError(f"/next was answered {answer.status}: {answer.body[:200]!r}")
            handoff.early.append((answer.body, came))
    if kind != b"L":
        api.pending = True
        raise ApiError("what the launcher began cannot be gone on with")
    if not api.pending and not is_shutdown(api.latest):
        api.send_next()


def _identify(handoff: Handoff, entry: Entry) -> None:
    parsed = parse_answer(entry.payload)
    if parsed is None:
        raise ApiError("register's answer is not whole")
    handoff.registered_mono_ns = entry.number
    handoff.identity = parsed[0].body
    handoff.api.extension_id = parsed[0].headers[b"lambda-extension-identifier"]
    if handoff.subscription is not None:
        handoff.subscription.extension_id = handoff.api.extension_id
