"""The hook's messages. In: the listener that boot opened. Out: facts, and counts of what could not be one.

Bounded: so many peers, so many messages at a time, so many files; the kernel bounds the rest, and the sender counts its
drops. Who runs as another user is not listened to: on Lambda nobody does, on a developer's machine anybody may.
"""

import _socket
import os
import stat
import sys
from collections.abc import Container, Iterator
from typing import Any

from afterglow.ear import Ear
from afterglow.facts import FactError, parse_fact

MOST_PEERS = 64  # the runtime, and its forked workers under Managed Instances
MOST_MESSAGES_AT_ONCE = 256
LARGEST_MESSAGE_BYTES = 65_536
MOST_FILES = 64
_RIGHTS_BYTES = _socket.CMSG_SPACE(4)  # one file descriptor, though two fit: the kernel fills what is there
_SO_PEERCRED = 17  # asm-generic/socket.h; ``socket`` has the name, but costs 2 ms and 0.7 MB more than ``_socket``


class Inbox:
    """Non-blocking reader of the listener and its peers, each known by its file descriptor."""

    def __init__(self, listener: "_socket.socket | None") -> None:
        self.ear = Ear(listener)
        self.peers: dict[int, _socket.socket] = {}
        self.pids: dict[int, int] = {}
        self.files: dict[int, int] = {}  # pid → the file that its stacks are in
        self.seen = 0
        self.dropped: dict[str, int] = {}
        self._users = (os.geteuid(), 0)
        self.hung_up: list[int] = []  # pids of runtime processes whose end of the socket has closed

    def descriptors(self) -> list[int]:
        """Return what to poll for input."""
        return [*self.peers, *self.ear.descriptors()]

    def accept(self) -> None:
        """Take in new peers; the kernel says which process each one is."""
        while (peer := self.ear.take()) is not None:
            if len(self.peers) >= MOST_PEERS:
                peer.close()
                self._drop("too-many-peers")
                continue
            peer.setblocking(False)
            credentials = peer.getsockopt(_socket.SOL_SOCKET, _SO_PEERCRED, 12)
            if int.from_bytes(credentials[4:8], "little") not in self._users:
                peer.close()
                self._drop("of-another-user")
                continue
            self.peers[peer.fileno()] = peer
            self.pids[peer.fileno()] = int.from_bytes(credentials[:4], "little")

    def read(self, ready: Container[int] | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (pid, fact) for everything that has arrived.

        ``ready``: the descriptors that poll has found so; whoever has called since is for the next poll to find.
        """
        if ready is None or self.ear.is_among(ready):
            self.accept()
        for descriptor in list(self.peers):
            for _ in range(MOST_MESSAGES_AT_ONCE):
                message = self._receive(descriptor)
                if not message:
                    break
                fact = self._parsed(message)
                if fact is not None:
                    yield self.pids[descriptor], fact

    def close(self) -> None:
        """Hang up on everybody."""
        while self.peers:
            self.peers.popitem()[1].close()

    def _receive(self, descriptor: int) -> bytes | None:
        try:
            message, ancillary, _, _ = self.peers[descriptor].recvmsg(LARGEST_MESSAGE_BYTES, _RIGHTS_BYTES)
        except BlockingIOError:
            return None
        except OSError:  # ECONNRESET: the process died with unread data
            message, ancillary = b"", []
        for level, kind, data in ancillary:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                self._take_files(self.pids[descriptor], data)
        if not message:
            self.peers.pop(descriptor).close()
            self.hung_up.append(self.pids[descriptor])
        return message

    def _take_files(self, pid: int, rights: bytes) -> None:
        """Keep the first file; all of them are ours now, whoever has sent them."""
        files = [int.from_bytes(rights[at : at + 4], sys.byteorder) for at in range(0, len(rights) - 3, 4)]
        for file in files[1:]:
            os.close(file)
        if files:
            self._keep_file(pid, files[0])

    def _keep_file(self, pid: int, file: int) -> None:
        """Keep the file if stacks can be read from it like from a memfd: a FIFO or a socket would end the profiling."""
        if not stat.S_ISREG(os.fstat(file).st_mode) or (pid not in self.files and len(self.files) >= MOST_FILES):
            os.close(file)
            self._drop("file-not-taken")
            return
        if pid in self.files:
            os.close(self.files[pid])
        self.files[pid] = file

    def _parsed(self, message: bytes) -> dict[str, Any] | None:
        self.seen += 1
        try:
            fact = parse_fact(message)
        except FactError:
            self._drop("malformed")
            return None
        lost = fact.get("dropped", 0)
        if isinstance(lost, int) and lost > 0:
            self.seen += lost
            self._drop("hook-could-not-send", lost)
        return fact

    def _drop(self, reason: str, count: int = 1) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + count
