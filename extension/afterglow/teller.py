"""Gives records to the outlets, in the right order and with the ledger. In: records. Out: lines, when it is time.

The outlets are made when the first record is: only then it is known which runtime this environment has.
"""

import os
import time
from typing import Any

from afterglow import proc
from afterglow.address import parse_address
from afterglow.boot import say
from afterglow.kept import KeptFile
from afterglow.outlet import Embedded, Outlet, Outlets, RecordLines, RecordsFile, write_all
from afterglow.recorder import Clock, Recorder
from afterglow.records import Environment, Finding, Loss, Overhead, Record
from afterglow.settings import Settings
from afterglow.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from afterglow.shipping import Shipper

STDOUT = 1
OVERHEAD_EVERY_NS = 1_000_000_000


def read_clock() -> Clock:
    """Read both clocks."""
    return Clock(time.monotonic_ns(), time.time() * 1000)


def agent_cpu_ms() -> float:
    """Return this process's CPU since it started."""
    return time.process_time_ns() / 1e6


class Teller:
    """Everything that leaves this process passes here."""

    def __init__(
        self, settings: Settings, environ: dict[str, str], identity: dict[str, Any], env_id: str, started_at_ms: int
    ) -> None:
        self.settings = settings
        self.environ = environ
        self.identity = identity
        self.env_id = env_id
        self.init_type = environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")
        self.runtime: str | None = None
        self.started_at_ms = started_at_ms
        self.bytes_out = 0
        self._told_cpu_ms = 0.0
        self._overhead_due_ns = 0
        self._own_statm = KeptFile("/proc/self/statm")
        self._outlets: Outlets | None = None
        self.shipper: Shipper | None = None

    def rename(self, env_id: str) -> None:
        """Tell of an environment of this name from here on, with the losses noted so far."""
        self.env_id = env_id
        if self._outlets is not None:
            ledger, self._outlets = self._outlets.ledger, None
            self._open().ledger = ledger

    def accept(self, record: Record) -> None:
        """Give one record to every outlet."""
        self._open().accept(record)

    def flush(self, *, final: bool = False) -> None:
        """Write what is due."""
        self._open().flush(round(time.time() * 1000), final=final)

    def end_by(self, until_ns: int) -> None:
        """Know when SHUTDOWN's time is up (monotonic): findings that are not out by then are counted instead."""
        self._open().end_by(until_ns)

    def announce_last_bytes(self) -> None:
        """Count the record that ``tell_last_bytes`` will tell: the ledger comes before it."""
        if self._files():
            self.see("overhead", 1)

    def tell_last_bytes(self) -> None:
        """Tell the local run what the last flush has printed: the metrics, where that is a metric, are out already."""
        written, self.bytes_out = self.bytes_out, 0
        for file in self._files():
            file.accept(Overhead(round(time.time() * 1000), 0.0, self.agent_rss_bytes(), 0.0, written))
            file.flush(0, final=True)

    def _files(self) -> list[RecordsFile]:
        """Return the files that hold what else only is printed; what is shipped is counted by the one who takes it."""
        outlets = self._open().outlets
        return [outlet for outlet in outlets if isinstance(outlet, RecordsFile)] if self.shipper is None else []

    def has_lost(self) -> bool:
        """Return whether the ledger has something to say that has not been told."""
        return bool(self._open().ledger.dropped)

    def lose(self, of: str, reason: str, count: int = 1) -> None:
        """Note what was seen and could not be kept."""
        self.see(of, count)
        self._open().ledger.drop(of, reason, count)

    def see(self, of: str, count: int) -> None:
        """Note what was seen, and taken."""
        if count:
            self._open().ledger.see(of, count)

    def overhead(self, hook_ms: float) -> None:
        """Tell what we have taken since the last time."""
        cpu_ms = agent_cpu_ms()
        self.accept(
            Overhead(
                at_ms=round(time.time() * 1000),
                agent_cpu_ms=round(cpu_ms - self._told_cpu_ms, 3),
                agent_rss_bytes=self.agent_rss_bytes(),
                hook_ms=round(hook_ms, 3),
                bytes_out=self.bytes_out,
            )
        )
        self._told_cpu_ms, self.bytes_out = cpu_ms, 0

    def agent_rss_bytes(self) -> int | None:
        """Return this process's RSS."""
        return proc.parse_rss_bytes(self._own_statm.read() or "")

    def keeps_samples(self) -> bool:
        """Return whether anybody does: to all others they are only counted."""
        return bool(self.settings.records_file)

    def losses(self) -> list[Loss]:
        """Tell the ledger."""
        losses = self._open().ledger.take(round(time.time() * 1000))
        for loss in losses:
            self.accept(loss)
        return losses

    def invocations(
        self, recorder: Recorder, *, before: int | None, patient: bool = False, init_patient: bool = False
    ) -> None:
        """Tell Init, once, and the invocations that are over; with each that ended badly, how.

        ``patient``: the platform may have its say first; ``init_patient``: of Init, at least.
        """
        clock, cpu_ms = read_clock(), agent_cpu_ms()
        init = recorder.init(clock, patient=patient or init_patient)
        if init is not None:
            self.accept(init)
        told = recorder.tell(clock, cpu_ms, before=before, patient=patient)
        for report in recorder.reports(clock, final=before is None):
            self.accept(report)
        for invocation, ending in told:
            self.accept(invocation)
            if ending is not None:
                self.accept(ending)
        if before is None or (told and self._owes_overhead(clock.mono_ns)):
            self.overhead(recorder.hook_ms)
            recorder.hook_ms = 0.0

    def _owes_overhead(self, now_ns: int) -> bool:
        """Return whether it is time for it: it adds up, so short invocations in a row can share one."""
        if now_ns < self._overhead_due_ns and self.settings.flush != "end":
            return False
        self._overhead_due_ns = now_ns + OVERHEAD_EVERY_NS
        return True

    def findings(self, findings: list[Finding]) -> None:
        """Tell what has become of lingering work."""
        for finding in findings:
            self.accept(finding)

    def _open(self) -> Outlets:
        if self._outlets is None:
            environment = self._environment()
            outlets: list[Outlet] = [self._collector(environment)]
            if self.settings.records_file:
                outlets.append(RecordsFile(self.settings.records_file, environment))
            self._outlets = Outlets(outlets)
        return self._outlets

    def _collector(self, environment: Environment) -> Outlet:
        where = self.settings.collector
        if where == "embedded":
            return Embedded(self.settings, environment, self._print)
        if where == "records":
            return RecordLines(environment, self._print)
        from afterglow.peer import Peer  # noqa: PLC0415 - with zlib and all: for those who ship
        from afterglow.shipping import Shipper  # noqa: PLC0415

        peer = Peer(parse_address(where), self.settings.collector_ca)
        self.shipper = Shipper(peer, self.settings.collector_token, environment, time.monotonic_ns)
        return self.shipper

    def ship(self, *, may_start: bool) -> None:
        """Go on shipping, if anything is to be shipped; never waits."""
        if self.shipper is not None:
            self.shipper.step(may_start=may_start)
            self.bytes_out += self.shipper.bytes_out
            self.shipper.bytes_out = 0

    def poll_for(self) -> dict[int, int]:
        """Return what shipping waits for."""
        return self.shipper.poll_for() if self.shipper is not None else {}

    def hurry(self) -> None:
        """Let shipping wait for nothing any more: the environment ends."""
        if self.shipper is not None:
            self.shipper.hurry()

    def ships(self) -> bool:
        """Return whether anything is left to ship."""
        return self.shipper is not None and self.shipper.pending()

    def end_shipping(self) -> None:
        """Give up what could not be shipped, and say how much that was: nobody else will."""
        if self.shipper is None:
            return
        self.shipper.spool.close("environment-ended")
        lost = self.shipper.take_dropped()
        if lost:
            why = f"; at last: {self.shipper.problem}" if self.shipper.problem else ""
            where = self.settings.collector.partition("?")[0]  # a query may hold a key
            say(f"the collector at {where} did not take {sum(lost.values())} records: {lost}{why}")

    def _print(self, text: str) -> int:
        written = write_all(STDOUT, text)
        self.bytes_out += written
        return written

    def _environment(self) -> Environment:
        memory = self.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
        machine = os.uname().machine
        return Environment(
            env_id=self.env_id,
            function=str(self.identity.get("functionName") or "unknown"),
            version=str(self.identity.get("functionVersion") or "unknown"),
            memory_mb=int(memory) if memory.isdigit() else None,
            arch="arm64" if machine == "aarch64" else machine,
            init_type=self.init_type or "on-demand",
            runtime=self.runtime,
            region=self.environ.get("AWS_REGION"),
            agent=__version__,
            started_at_ms=self.started_at_ms,
        )
