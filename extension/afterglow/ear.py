"""A listening socket in the poll loop. In: the socket, or None. Out: connections, without ever a wait or a spin.

When the system has no descriptor left for one more connection, that connection stays in the queue and the socket
stays readable: a loop that polls it would spin, at the function's expense. So we are deaf for a moment.
"""

import _socket
import time
from collections.abc import Container
from errno import ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM

DEAF_NS = 100_000_000
_NO_ROOM = (EMFILE, ENFILE, ENOBUFS, ENOMEM)


class Ear:
    """Takes in who calls. ``no_room`` counts how often it could not; whoever called then is taken in later."""

    def __init__(self, listener: "_socket.socket | None") -> None:
        self.listener = listener
        self.no_room = 0
        self._deaf_until_ns = 0

    def descriptors(self) -> list[int]:
        """Return what to poll for input."""
        if self.listener is None or time.monotonic_ns() < self._deaf_until_ns:
            return []
        return [self.listener.fileno()]

    def is_among(self, ready: Container[int]) -> bool:
        """Return whether somebody has called, by what poll has found."""
        return self.listener is not None and self.listener.fileno() in ready

    def take(self) -> "_socket.socket | None":
        """Return the next connection, as the kernel hands it out (blocking); None when nobody waits."""
        while self.listener is not None:
            try:
                descriptor, _ = self.listener._accept()  # type: ignore[attr-defined]  # what socket.accept calls
            except OSError as error:
                if error.errno == ECONNABORTED:  # gone before it was taken; the next one may be there
                    continue
                if error.errno in _NO_ROOM:
                    self.no_room += 1
                    self._deaf_until_ns = time.monotonic_ns() + DEAF_NS
                return None
            return _socket.socket(fileno=descriptor)
        return None
