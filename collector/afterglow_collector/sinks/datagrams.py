"""A UDP socket that hears when nobody listens. In: an address, datagrams. Out: they, at a pace that a reader can keep.

UDP acknowledges nothing, but a connected socket hears ICMP's refusal: at once on this machine, a moment later from
another. A burst overruns the reader's buffer (some 200 KB on Linux), where 6,000 datagrams at once lost 5 %.
"""

import errno
import os
import socket
import time
from collections.abc import Iterable
from typing import Any

TIMEOUT_S = 10.0
BURST = 32  # datagrams; of 2 KB each with what the kernel adds, a third of the buffer
PAUSE_S = 0.004


class TooLargeError(Exception):
    """The system does not take a datagram of this size."""


def connect_udp(address: tuple[str, int]) -> socket.socket:
    """Return a connected socket, IPv4 or IPv6."""
    family, kind, protocol, _, resolved = find(address, socket.SOCK_DGRAM)
    connection = socket.socket(family, kind, protocol)
    try:
        connection.settimeout(TIMEOUT_S)
        connection.connect(resolved)
    except OSError:
        connection.close()
        raise
    return connection


def find(address: tuple[str, int], kind: socket.SocketKind) -> Any:
    """Return the first of getaddrinfo's answers; OSError for what is no name as well."""
    try:
        return socket.getaddrinfo(*address, type=kind)[0]
    except UnicodeError as error:  # a label of over 63 characters
        raise OSError(errno.EINVAL, str(error)) from None


def send_one(connection: socket.socket, datagram: bytes) -> None:
    """Send one; OSError may tell of any before it, TooLargeError of this one alone."""
    try:
        connection.send(datagram)
    except OSError as error:
        if error.errno == errno.EMSGSIZE:
            raise TooLargeError from None
        raise


def send_paced(connection: socket.socket, datagrams: Iterable[bytes]) -> int:
    """Send all; return how many were too large. OSError when nobody listens."""
    too_large = 0
    for number, datagram in enumerate(datagrams, 1):
        try:
            send_one(connection, datagram)
        except TooLargeError:
            too_large += 1
        if number % BURST == 0:
            time.sleep(PAUSE_S)
            raise_refusal(connection)
    raise_refusal(connection)
    return too_large


def raise_refusal(connection: socket.socket) -> None:
    """Raise the refusal of a datagram that has been sent."""
    code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))
