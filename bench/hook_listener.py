"""Reads what the hook sends, where no extension is. In: a Runtime API's address. Out: facts counted by kind."""

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from afterglow.boot import hook_address

LARGEST_FACT_BYTES = 65_536


@contextmanager
def listening(address: str) -> Iterator[Counter[str]]:
    """Listen for one hook; the counts are complete when it has gone and this has ended."""
    seen: Counter[str] = Counter()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(hook_address(address))
        listener.listen()
        reader = threading.Thread(target=_read, args=(listener, seen), daemon=True)
        reader.start()
        yield seen
        reader.join()


def _read(listener: socket.socket, seen: Counter[str]) -> None:
    link, _ = listener.accept()
    with link:
        while fact := link.recv(LARGEST_FACT_BYTES):
            seen[json.loads(fact)["t"]] += 1
