"""kill -9 in a loop, under load: is what was acknowledged counted, exactly once? In: processes. Out: a Section."""

import http.client
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from afterglow.records import encode, encode_row
from afterglow_collector.collect.outbox import Outbox
from afterglow_layer.failure import Failure
from bench.collect_records import call, environment
from bench.collect_servers import Server, collector_on, folder
from bench.effort import Effort
from bench.section import Budget, Section, Table
from bench.stats import Interval

TITLE = "kill -9 under load"
KILLS = 50
SENDERS = 6
LIMIT_S = 60
METHOD = f"""\
{SENDERS} environments send batches of up to 60 rows as fast as they are answered, each batch again until it is, with
its number. Meanwhile the collector is killed (SIGKILL) at a random moment after it has begun to listen, and started
again on the same folder. At the end it is stopped in order, and what stands in its outbox is held against what was
acknowledged: the number of Invocations, and the sum of their durations, drawn in eighths of a millisecond so that
the sum is exact. Checkpoints come with each MB of the journal, so that kills meet those too."""


class Sender(threading.Thread):
    """An environment. ``port`` is asked for with each try: it changes with each start."""

    def __init__(self, number: int, port: Callable[[], int], stop: threading.Event) -> None:
        super().__init__(name=f"sender {number}", daemon=True)
        self.number = number
        self.port = port
        self.stop = stop
        self.batches = self.again = self.calls = self.eighths = 0

    def run(self) -> None:
        """Send until told to stop; what was begun is brought to its answer."""
        chance = random.Random(self.number)
        head = encode(environment(1, self.number))
        while not self.stop.is_set():
            now_ms = int(time.time() * 1000)
            durations = [chance.randrange(1, 100_000) for _ in range(chance.randrange(0, 60))]
            lines = [encode_row(call(now_ms, 1, chance)._replace(duration_ms=eighths / 8)) for eighths in durations]
            self.batches += 1
            while not self._taken("\n".join([head, *lines]).encode()):
                self.again += 1
                time.sleep(0.005)  # the collector is down
            self.calls += len(durations)
            self.eighths += sum(durations)

    def _taken(self, body: bytes) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port(), timeout=LIMIT_S)
        try:
            connection.request("POST", "/v1/records", body, {"Afterglow-Seq": str(self.batches)})
            return connection.getresponse().status == 202
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Kill it again and again, and count."""
    kills = effort.rounds(KILLS)
    stop, ports = threading.Event(), [0]
    senders = [Sender(number, lambda: ports[0], stop) for number in range(SENDERS)]
    with folder() as data:
        for sender in senders:
            sender.start()
        for number in range(kills):
            _lived(data, ports, random.Random(number).uniform(0.05, 0.8))
            show(Table(["kills", "acknowledged"], [[str(number + 1), f"{sum(one.calls for one in senders):,}"]]))
        with collector_on(data, "--checkpoint-mb", "1") as server:
            ports[0] = server.port
            stop.set()
            _join(senders)
        counted, eighths = published(data)
    return _section(kills, senders, counted, eighths)


def _lived(data: Path, ports: list[int], seconds: float) -> None:
    with collector_on(data, "--checkpoint-mb", "1") as server:
        ports[0] = server.port
        time.sleep(seconds)  # any moment is as good as any other
        _kill(server)


def _kill(server: Server) -> None:
    os.kill(server.pid, signal.SIGKILL)


def _join(senders: list[Sender]) -> None:
    for sender in senders:
        sender.join(LIMIT_S)
        if sender.is_alive():
            raise Failure(f"{sender.name} was not answered within {LIMIT_S} s")


def published(data: Path) -> tuple[int, int]:
    """Return the Invocations and the sum of their durations, in eighths of a ms, that stand in the outbox."""
    outbox = Outbox(data / "outbox")
    documents = [json.loads(entry.payload) for entry in outbox.read(0, 1_000_000) if entry.kind == "emf"]
    outbox.close()
    durations = [one["DurationMs"] for one in documents if "DurationMs" in one]
    sums = [one["Sum"] if isinstance(one, dict) else one for one in durations]
    return sum(one.get("Invocations", 0) for one in documents), round(8 * sum(sums))


def _section(kills: int, senders: list[Sender], counted: int, eighths: int) -> Section:
    sent, sent_eighths = sum(one.calls for one in senders), sum(one.eighths for one in senders)
    batches, again = sum(one.batches for one in senders), sum(one.again for one in senders)
    head = [
        "kills",
        "batches acknowledged",
        "tries that failed",
        "records acknowledged",
        "counted",
        "sum of durations, ms",
        "counted, ms",
    ]
    row = [
        str(kills),
        f"{batches:,}",
        f"{again:,}",
        f"{sent:,}",
        f"{counted:,}",
        f"{sent_eighths / 8:,.3f}",
        f"{eighths / 8:,.3f}",
    ]
    off = float(abs(counted - sent) + abs(eighths - sent_eighths))
    budget = Budget(
        "acknowledged but not counted, or counted twice", 0.0, "records or eighths of a ms", Interval(off, off, off)
    )
    return Section(METHOD, [budget], [Table(head, [row])], [])
