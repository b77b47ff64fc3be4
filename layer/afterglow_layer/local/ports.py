"""The two ports of an emulator. In: nothing. Out: free ones, and whether somebody listens."""

import socket
from typing import NamedTuple


class Ports(NamedTuple):
    """Where RIE listens, on 127.0.0.1."""

    runtime_api: int
    invoke: int


def free_ports() -> Ports:
    """Return two ports that nobody listens on right now."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return Ports(first.getsockname()[1], second.getsockname()[1])


def listens(port: int) -> bool:
    """Tell whether somebody takes connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
