"""Facts to the extension: one JSON object per message on a Unix SEQPACKET socket, non-blocking, never retried.

In: dictionaries. Out: messages, or a count of those that could not go. A missing or dead extension costs one
failed system call, then nothing. ``docs/decisions/0004-hook-wire.md`` says why SEQPACKET.
"""

from __future__ import annotations

import _socket
import os
import sys
import time
from json import encoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1  # of the facts; the extension ignores a hook that speaks another
LARGEST_MESSAGE_BYTES = 65_536

_encode = encoder.c_make_encoder and encoder.c_make_encoder(  # type: ignore[attr-defined]  # typeshed leaves it out
    None, None, encoder.encode_basestring_ascii, None, ":", ",", False, False, True
)
"""What json.dumps makes anew on each call and then calls: kept, a fact takes 2.2 µs instead of 3.7."""

dropped = 0
"""Facts that the extension did not get: the next fact that goes through tells it how many."""
_link: _socket.socket | None = None
_pid = 0


def connect() -> bool:
    """(Re)connect to this environment's extension; False when there is none."""
    global _link, _pid  # noqa: PLW0603 - one connection per process is this module's topic
    close()
    _pid = os.getpid()
    link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
    try:
        link.connect(b"\0afterglow/1/" + os.environ["AWS_LAMBDA_RUNTIME_API"].encode())
    except OSError:  # no extension (yet): the function runs as it would without us
        link.close()
        return False
    _link = link
    return True


def close() -> None:
    """Let go of the connection; in a forked child this leaves the parent's alone."""
    global _link  # noqa: PLW0603 - as above
    if _link is not None:
        _link.close()
        _link = None


def is_forked() -> bool:
    """Return whether this process was forked after the last ``connect``."""
    return _pid != os.getpid()


def is_silent() -> bool:
    """Return whether nobody listens, nor will: only a fork connects again."""
    return _link is None and not is_forked()


def say_hello(began_ns: int, stacks: int | None = None) -> None:
    """Introduce this process: which Python, since when, and what its start and the hook have cost.

    ``stacks`` is the descriptor of the file that its stacks are written to; it goes along.
    """
    send(
        {
            "t": "hello",
            "v": VERSION,
            "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
            "root": os.environ.get("LAMBDA_TASK_ROOT"),
            "at": began_ns,
            "took": time.monotonic_ns() - began_ns,
            "cpu": time.process_time_ns(),
        },
        stacks,
    )


def _spelled(fact: dict[str, Any]) -> str:
    """Return the fact as JSON without spaces."""
    if _encode is None:  # an interpreter without its C accelerators
        return encoder.JSONEncoder(separators=(",", ":")).encode(fact)
    return "".join(_encode(fact, 0))


def send(fact: dict[str, Any], descriptor: int | None = None) -> bool:
    """Send one fact if that is possible at once."""
    global dropped  # noqa: PLW0603 - as above
    link = _link  # another thread may close it at any moment
    if link is None:
        return False
    if dropped:
        fact["dropped"] = dropped
    message = _spelled(fact).encode()
    try:
        if len(message) > LARGEST_MESSAGE_BYTES:
            sent = False
        elif descriptor is None:
            sent = link.send(message, _socket.MSG_NOSIGNAL) > 0
        else:
            rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptor.to_bytes(4, sys.byteorder))
            sent = link.sendmsg([message], [rights], _socket.MSG_NOSIGNAL) > 0
    except BlockingIOError:
        sent = False
    except OSError:  # the extension is gone: nobody will ever read this
        close()
        return False
    dropped = 0 if sent else dropped + 1
    return sent
