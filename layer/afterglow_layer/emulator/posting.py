"""Puts one parcel on the wire to a listener, whole or as Misbehaviour wants it.

In: a connection to the listener and a parcel. Out: the listener's HTTP status. Headers are those of RIE
source, telemetry/internal/client.go.
"""

import socket
import time
from http.client import HTTPResponse

from afterglow_layer.emulator import tamper
from afterglow_layer.emulator.telemetry_api import Subscription
from afterglow_layer.emulator.wire import set_reset_on_close

PIECES = 8
"""Into how many a dribbled batch is cut."""


def post(connection: socket.socket, subscription: Subscription, parcel: tamper.Parcel) -> int | str:
    """Send the parcel and return the answer's status, or ``cut`` when it was cut off; OSError, HTTPException."""
    head = (
        f"POST {subscription.path} HTTP/1.1\r\nHost: sandbox.localdomain:{subscription.port}\r\n"
        f"Content-Type: application/json\r\nSequence-Id: {tamper.sequence_id(parcel.body)}\r\n"
        f"Content-Length: {len(parcel.body)}\r\n\r\n"
    ).encode()
    if parcel.cut:
        connection.sendall(head + parcel.body[: len(parcel.body) // 2])
        set_reset_on_close(connection)
        return "cut"
    _send_in_pieces(connection, head + parcel.body, parcel.dribble_ms)
    response = HTTPResponse(connection)
    response.begin()
    response.read()
    return response.status


def _send_in_pieces(connection: socket.socket, message: bytes, pause_ms: int) -> None:
    size = -(-len(message) // PIECES) if pause_ms else len(message)
    for offset in range(0, len(message), size):
        connection.sendall(message[offset : offset + size])
        time.sleep(pause_ms / 1000)
