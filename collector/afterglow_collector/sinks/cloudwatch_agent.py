"""The sink ``cloudwatch-agent``: EMF over TCP or UDP to the CloudWatch agent, port 25888 unless told otherwise.

In: EMF entries. Out: documents, each ended by a newline over TCP, each a datagram over UDP, with the log group
in ``_aws.LogGroupName`` that the agent asks for (CloudWatch user guide, "Using the CloudWatch agent to send
embedded metric format logs"). The agent acknowledges nothing: what it had read when it died is lost; what it
had not even taken is sent again. Of a connection that it has closed, we hear before we write.
"""

import errno
import json
import select
import socket
import time
from collections.abc import Mapping, Sequence

from afterglow_collector.sinks.contract import EMF, UNMAKEABLE, Entry, SinkBatch, SinkRetry
from afterglow_collector.sinks.datagrams import (
    BURST,
    PAUSE_S,
    TIMEOUT_S,
    TooLargeError,
    connect_udp,
    find,
    raise_refusal,
    send_one,
)

PORT = 25888
MAX_DATAGRAM_BYTES = 65_507  # the most that UDP over IPv4 carries: 65,535 less the headers
TOO_LARGE, NOT_EMF = "too-large-for-udp", "not-emf"


class CloudWatchAgent:
    """One connected socket, made anew when it is gone. ``protocol`` is "tcp" or "udp"."""

    def __init__(self, protocol: str, host: str, port: int, group: str) -> None:
        self.name = f"cloudwatch-agent {protocol} {host}:{port}"
        self.kinds = frozenset((EMF,))
        self.address = host, port
        self.group = group
        self.datagrams = protocol == "udp"
        self._socket: socket.socket | None = None

    def send(self, batch: SinkBatch) -> Mapping[str, int]:
        """Write the documents; if that fails, those that went whole into the socket count as sent."""
        refused: dict[str, int] = {}
        done = 0
        try:
            connection = self._connected()
            for entry in batch.entries:
                fault = self._sent(connection, entry)
                if fault:
                    refused[fault] = refused.get(fault, 0) + 1
                done += 1
                if self.datagrams and done % BURST == 0:
                    time.sleep(PAUSE_S)
            if self.datagrams:
                raise_refusal(connection)
        except OSError as error:
            self.close()
            raise self._retry(error, batch.entries, done, refused) from error
        return refused

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _sent(self, connection: socket.socket, entry: Entry) -> str | None:
        """Send a document; return why it cannot go on the wire."""
        try:
            data = addressed(entry.payload, self.group)
        except UNMAKEABLE:
            return NOT_EMF
        if not self.datagrams:
            connection.sendall(data + b"\n")
        elif len(data) > MAX_DATAGRAM_BYTES:
            return TOO_LARGE
        else:
            try:
                send_one(connection, data)
            except TooLargeError:
                return TOO_LARGE
        return None

    def _retry(self, error: OSError, entries: Sequence[Entry], done: int, refused: Mapping[str, int]) -> SinkRetry:
        reason = errno.errorcode.get(error.errno or 0, type(error).__name__)
        if self.datagrams:
            return SinkRetry(reason)  # It may tell of any datagram before: nobody has had them.
        return SinkRetry(reason, remaining=entries[done:], refused=refused)

    def _connected(self) -> socket.socket:
        if self._socket is not None and not self.datagrams and _has_hung_up(self._socket):
            self.close()
        if self._socket is None:
            self._socket = connect_udp(self.address) if self.datagrams else _connect_tcp(self.address)
        return self._socket


def addressed(payload: str, group: str) -> bytes:
    """Return an EMF document with the log group that the agent shall write it to."""
    document = json.loads(payload)
    document["_aws"].setdefault("LogGroupName", group)
    return json.dumps(document, separators=(",", ":")).encode()


def _connect_tcp(address: tuple[str, int]) -> socket.socket:
    find(address, socket.SOCK_STREAM)  # says what is no name at all in an OSError
    return socket.create_connection(address, TIMEOUT_S)


def _has_hung_up(connection: socket.socket) -> bool:
    """Return whether the other side has closed: then there is something to read, namely its end."""
    # Not MSG_DONTWAIT: on a socket with a timeout, Python waits for that long all the same.
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0)) and connection.recv(1, socket.MSG_PEEK) == b""
