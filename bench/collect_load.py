"""The load: one process that sends batches over some connections, and notes how long each answer took.

In: arguments, one JSON object. Out: one JSON object with counts and latencies. A selector and raw sockets: it must
cost much less than the server that it loads, on a core of its own.

    closed loop   each connection sends its next batch when the last one is answered: as fast as the server can
    open loop     batches are sent at a fixed rate, and an answer's time counts from when its batch was due, so a
                  server that stalls is not spared (coordinated omission)
"""

import json
import selectors
import socket
import sys
import time
from collections import deque
from typing import NamedTuple

from bench.collect_records import Parts, bodies_of


class Load(NamedTuple):
    """What to send. ``rate`` 0: as fast as the server can. ``form`` and ``encoding`` as in ``collect_records``."""

    port: int
    connections: int
    seconds: float
    batch: int
    series: int
    encoding: str = "identity"
    form: str = "rows"
    rate: float = 0.0  # batches per second
    seed: int = 1
    each_once: bool = False  # send one batch of each series, instead of for some seconds


def main(words: str) -> dict[str, object]:
    """Send the load and return what came of it."""
    load = Load(**json.loads(words))
    bodies = bodies_of(load.form, load.encoding, load.batch, load.series, load.seed)
    seqs = [0] * len(bodies)
    connections = [_Connection(load, bodies, seqs, index) for index in range(load.connections)]
    return _run(load, connections)


class _Connection:
    """One connection, one batch under way."""

    def __init__(self, load: Load, bodies: list[Parts], seqs: list[int], index: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", load.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bodies = bodies
        self.at = index  # connections take bodies in turn
        self.step = load.connections
        self.seqs = seqs  # of all connections: a batch that was sent before would cost nothing
        path = "/api/v1/import/prometheus" if load.form == "prometheus" else "/v1/records"
        self.head = (
            f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-encoding: {load.encoding}\r\n"
            "content-length: %d\r\nafterglow-seq: %d\r\n\r\n"
        ).encode()
        self.due_s = 0.0

    def send(self, due_s: float) -> None:
        which = self.at % len(self.bodies)
        self.at += self.step
        self.seqs[which] += 1
        seq, body = self.seqs[which], self.bodies[which]
        self.due_s = due_s
        self.socket.sendall(b"".join((self.head % (sum(map(len, body)), seq), *body)))


def _run(load: Load, connections: list[_Connection]) -> dict[str, object]:
    selector = selectors.DefaultSelector()
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    idle = deque(connections)
    latencies: list[float] = []
    statuses: dict[str, int] = {}
    began_s = time.perf_counter()
    end_s, next_s = began_s + load.seconds, began_s
    left = len(connections[0].bodies) if load.each_once else -1
    while left > 0 or (now_s := time.perf_counter()) < end_s or len(idle) < len(connections):
        now_s = time.perf_counter()
        while idle and (left > 0 or now_s < end_s) and (not load.rate or next_s <= now_s):
            left -= 1
            idle.popleft().send(next_s if load.rate else now_s)
            next_s += 1 / load.rate if load.rate else 0
        timeout_s = max(0.0, min(next_s - now_s, 0.05)) if load.rate and idle else 0.05
        for key, _ in selector.select(timeout_s):
            connection: _Connection = key.data
            answer = connection.socket.recv(65536)
            if not answer:
                raise ConnectionError("the server hung up")
            latencies.append(time.perf_counter() - connection.due_s)
            status = "known" if b'"duplicate":true' in answer else answer[9:12].decode()
            statuses[status] = statuses.get(status, 0) + 1
            idle.append(connection)
    took_s = time.perf_counter() - began_s
    latencies.sort()
    share = {f"p{percent:g}_ms": 1000 * latencies[int(len(latencies) * percent / 100)] for percent in (50, 99, 99.9)}
    accepted = sum(count for status, count in statuses.items() if status.startswith("2"))
    return {
        "seconds": took_s,
        "records": accepted * load.batch,
        "statuses": statuses,
        "records_per_s": accepted * load.batch / took_s,
        "batches_per_s": accepted / took_s,
        "body_bytes": sum(map(len, connections[0].bodies[0])),
        **share,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
