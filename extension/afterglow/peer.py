"""How to get to the collector: its addresses, and the TLS to trust it by. It is found out without waiting.

In: an Address, a file of certificate authorities. Out: a Way as soon as there is one, a descriptor to poll until
then, or Failed.

``getaddrinfo`` takes as long as the name servers please, 20 s by resolv.conf's defaults when they are silent; ``ssl``
and the system's authorities take some 30 ms. While we waited, the Runtime API would wait for us: so a thread asks, for
as long as that takes (docs/decisions/0017-names-are-asked-for-in-a-thread.md).
"""

import _socket
import _thread
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from afterglow.address import Address

KEPT_NS = 60_000_000_000
"""How long addresses are used: AWS' load balancers have records of 60 s; getaddrinfo does not tell."""


class Failed(Exception):  # noqa: N818 - it says what happened, and is no error of ours
    """It came to nothing; it can be tried again."""


class Way(NamedTuple):
    """Where to connect to: a family and what ``connect`` takes for it; ``tls`` is an SSLContext or None."""

    family: int
    target: Any
    tls: Any


class Question:
    """What a thread is finding out; ``bell`` becomes readable when it is done."""

    __slots__ = ("_ring", "bell", "error", "found", "over", "tls")

    def __init__(self) -> None:
        self.bell, self._ring = os.pipe2(os.O_CLOEXEC)
        self.over = False
        self.error = ""
        self.found: list[Any] = []
        self.tls: Any = None

    def answer(self) -> None:
        """Say that it is done."""
        self.over = True
        os.close(self._ring)


Lookup = Callable[..., list[Any]]


class Peer:
    """One collector. ``lookup`` is getaddrinfo."""

    def __init__(self, address: Address, ca_file: str = "", lookup: Lookup = _socket.getaddrinfo) -> None:
        self.address = address
        self.ca_file = ca_file
        self.lookup = lookup
        self._tls: Any = None
        self._ways: list[Way] = []
        self._fresh_until_ns = 0
        self._question: Question | None = None

    def way(self, now_ns: int) -> Way | None:
        """Return how to get there; None while that is being found out, then poll ``fileno``."""
        if self._question is not None:
            if not self._question.over:
                return None
            self._settle(self._question, now_ns)
        if self._ways and now_ns < self._fresh_until_ns:
            return self._ways[0]
        self._ways = self._known()
        if self._ways:
            self._fresh_until_ns = now_ns + KEPT_NS
            return self._ways[0]
        self._ask()
        return None

    def fileno(self) -> int:
        """Return what to poll for input while ``way`` is not known."""
        return self._question.bell if self._question is not None else -1

    def failed(self) -> None:
        """Note that the way led nowhere: the next address is next, and after the last one they are asked for anew."""
        del self._ways[:1]

    def _known(self) -> list[Way]:
        """Return what takes no asking: a path, or an address in figures."""
        if self.address.scheme == "unix":
            return [Way(_socket.AF_UNIX, self.address.host, None)]
        if self.address.scheme == "https" and self._tls is None:
            return []
        try:
            return self._ways_of(self._look_up(_socket.AI_NUMERICHOST))
        except OSError:  # a name
            return []

    def _look_up(self, flags: int) -> list[Any]:
        # Bytes: a str would import the idna codec.
        host = self.address.host.encode()
        return self.lookup(host, self.address.port, 0, _socket.SOCK_STREAM, 0, flags)

    def _ways_of(self, found: list[Any]) -> list[Way]:
        return [Way(family, target, self._tls) for family, _, _, _, target in found]

    def _ask(self) -> None:
        question = Question()
        try:
            _thread.start_new_thread(self._find_out, (question, self._tls))
        except RuntimeError as error:  # Lambda allows 1,024 threads and processes
            question.answer()
            os.close(question.bell)
            raise Failed(str(error)) from None
        self._question = question

    def _find_out(self, question: Question, tls: Any) -> None:
        """Find out; in a thread of its own, which touches nothing but the question."""
        try:
            question.tls = tls or (make_tls(self.ca_file) if self.address.scheme == "https" else None)
            question.found = self._look_up(0)
        except (OSError, ImportError, ValueError) as error:
            question.error = f"{self.address.host}: {error}"
        finally:
            question.answer()

    def _settle(self, question: Question, now_ns: int) -> None:
        os.close(question.bell)
        self._question = None
        self._tls = self._tls or question.tls
        self._ways = self._ways_of(question.found)
        self._fresh_until_ns = now_ns + KEPT_NS
        if not self._ways:
            raise Failed(question.error or f"{self.address.host}: no address")


def make_tls(ca_file: str) -> Any:
    """Return an SSLContext that trusts the authorities in the file, the system's if there is none; OSError."""
    import ssl  # noqa: PLC0415 - https and its 20 ms of imports are paid for by those who ask for it

    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise OSError(f"certificate authorities {ca_file}: {error}") from None
