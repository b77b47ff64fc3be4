"""What the hook has to say for itself, on stderr, where that is possible at once. In: words. Out: a line, or nothing.

stderr is the function's: it may be closed, a pipe that nobody reads or one that is full. Whatever it is, nothing is
raised here and nothing waits.
"""

from __future__ import annotations

import os

_MOST_BYTES = 1_000  # less than PIPE_BUF: a pipe that takes anything takes all of it (pipe(7))


def say(words: str) -> None:
    """Write one line if it can be written at once."""
    try:
        from select import POLLOUT, poll  # noqa: PLC0415 - most functions never hear from us

        stderr = poll()
        stderr.register(2, POLLOUT)
        if stderr.poll(0) == [(2, POLLOUT)]:  # not POLLERR: a write would raise SIGPIPE, which can be deadly
            os.write(2, f"afterglow: {words}".encode("utf-8", "replace")[:_MOST_BYTES] + b"\n")
    except Exception:  # noqa: S110 - there is nobody left to tell
        pass
