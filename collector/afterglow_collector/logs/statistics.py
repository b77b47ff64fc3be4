"""Adds up what log messages say of one function. In: reports and records. Out: counts and distributions.

Additive and mergeable like the aggregate, and of bounded size: a distribution keeps bins, not values. REPORT
lines are there for every function, so invocations, durations, memory and cost come from them alone; records
add what only the layer knows. So nothing is counted twice where a function has both.
"""

from dataclasses import dataclass, field

from afterglow.distribution import Distribution
from afterglow.records import Environment, Finding, Init, Record
from afterglow_collector.logs.message import Found, Verdict
from afterglow_collector.logs.report_line import InitReport, Report

TIMED = ("duration_ms", "init_ms", "restore_ms", "max_memory_mb", "import_ms")
"""The distributions: the first four from REPORT lines, the last from records."""

COUNTED = (
    *("reports", "cold_starts", "failed_inits", "restores", "errors", "timeouts", "billed_ms", "billed_mb_ms"),
    *("records", "lingering", "resumed", "lost", "broken", "enormous", "repeated"),
)
FAILED = frozenset(("error", "failure", "timeout"))


@dataclass
class Statistics:
    """One function's figures. ``memory_mb`` counts reports by configured memory; ``arch`` is known from records."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    distributions: dict[str, Distribution] = field(default_factory=lambda: {name: Distribution() for name in TIMED})
    memory_mb: dict[int, int] = field(default_factory=dict)
    arch: str | None = None

    def add(self, found: Found) -> None:
        """Take in what a message holds."""
        if isinstance(found, Report):
            self._add_report(found)
        elif isinstance(found, InitReport):
            self.counts["failed_inits"] += found.status in FAILED
        elif isinstance(found, Verdict):
            if found is not Verdict.OTHER:
                self.counts[found.value] += 1
        else:
            self._add_record(found)

    def absorb(self, other: "Statistics") -> None:
        """Add another part's figures to these."""
        for name, count in other.counts.items():
            self.counts[name] += count
        for name, distribution in other.distributions.items():
            self.distributions[name].absorb(distribution)
        for memory_mb, count in other.memory_mb.items():
            self.memory_mb[memory_mb] = self.memory_mb.get(memory_mb, 0) + count
        self.arch = self.arch or other.arch

    def _add_report(self, report: Report) -> None:
        counts = self.counts
        counts["reports"] += 1
        counts["cold_starts"] += report.init_ms is not None or report.restore_ms is not None
        counts["restores"] += report.restore_ms is not None
        counts["errors"] += report.status in FAILED
        counts["timeouts"] += report.status == "timeout"
        counts["billed_ms"] += report.billed_ms
        counts["billed_mb_ms"] += report.billed_ms * report.memory_mb
        self.memory_mb[report.memory_mb] = self.memory_mb.get(report.memory_mb, 0) + 1
        self._time("duration_ms", report.duration_ms)
        self._time("max_memory_mb", report.max_memory_mb)
        self._time("init_ms", report.init_ms)
        self._time("restore_ms", report.restore_ms)

    def _add_record(self, record: Record) -> None:
        self.counts["records"] += 1
        if isinstance(record, Environment):
            self.arch = record.arch
        elif isinstance(record, Init):
            self._time("import_ms", record.import_ms)
        elif isinstance(record, Finding):
            for change in ("lingering", "resumed", "lost"):
                self.counts[change] += change in record.changes

    def _time(self, name: str, value: float | None) -> None:
        if value is not None and not self.distributions[name].add(value):
            self.counts["broken"] += 1
