"""What Ctrl-C, SIGTERM and a closed terminal do to the command: first, end it at once; later, KeyboardInterrupt.

In: the signals that the caller has not told us to ignore. Out: the process's end with 130 and a word on stderr, or
KeyboardInterrupt in the main thread. While modules are imported there is nothing to tidy up, and a KeyboardInterrupt
would be a traceback of whatever is being imported.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

STATUS = 130
WORDS = b"afterglow: interrupted\n"
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _quit(_number: int, _frame: object) -> None:
    try:
        os.write(2, WORDS)
    finally:
        os._exit(STATUS)


def quit_at_once() -> None:
    """From now on, end without further ado; what the caller ignores (nohup, a job in the background) stays ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _quit)


def raise_again() -> None:
    """Undo ``quit_at_once``."""
    if signal.getsignal(signal.SIGINT) is _quit:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGTERM) is _quit:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def in_order() -> Iterator[None]:
    """Let Ctrl-C, a SIGTERM as CI sends it, and a closed terminal end what runs in here as KeyboardInterrupt."""
    before = {number: signal.getsignal(number) for number in ENDS}
    heard = [number for number in ENDS if before[number] not in (signal.SIG_IGN, None)]
    for number in heard:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
