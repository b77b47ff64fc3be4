"""/metrics: the collector's own figures, for Prometheus.

In: the service's parts. Out: the text exposition format, made when it is asked for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from afterglow.version import __version__
from afterglow_collector.collect.counts import SECONDS, Counts
from afterglow_collector.collect.intake import Intake
from afterglow_collector.collect.publisher import Publisher
from afterglow_collector.sinks import SinkRunner, SinkStatus

PREFIX = "afterglow_collector_"


class _Figures(Collector):
    """Reads the parts when Prometheus asks."""

    def __init__(self, sources: Iterable[Callable[[], Iterator[Metric]]]) -> None:
        self.sources = list(sources)

    def collect(self) -> Iterator[Metric]:
        """Return all metrics."""
        for source in self.sources:
            yield from source()


def make_exposition(
    intake: Intake, publisher: Publisher, runners: list[SinkRunner], connections: Callable[[], int]
) -> Callable[[], bytes]:
    """Return a function that returns the exposition."""
    counts = intake.counts
    registry = CollectorRegistry(auto_describe=False)
    sources = [
        lambda: _of_requests(counts, connections()),
        lambda: _of_state(intake),
        lambda: _of_disk(intake, publisher),
        lambda: _of_sinks(runners, publisher.outbox.last_seq),
    ]
    registry.register(_Figures(sources))
    return lambda: generate_latest(registry)


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, words, value=value)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, words, value=value)


def _by(name: str, words: str, label: str, values: Mapping[str, float] | Mapping[int, float]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, words, labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family


def _of_requests(counts: Counts, connections: int) -> Iterator[Metric]:
    yield GaugeMetricFamily(PREFIX + "info", f"Afterglow {__version__}", value=1)
    yield _by("requests", "Requests answered, by status.", "status", counts.requests)
    yield _counter("body_bytes", "Bytes of bodies as sent.", counts.bytes_in)
    yield _counter("duplicate_batches", "Batches that had been counted already.", counts.duplicates)
    yield _counter("unknowable_batches", "Batches too far behind to tell, not counted.", counts.too_far_behind)
    yield _by("refused_batches", "Batches that could not be taken, by status.", "status", counts.refused_batches)
    yield _by("refused_records", "Lines that were not taken, by reason.", "reason", counts.refused_records)
    yield _by("turned_away", "Batches told to come again, by what was full.", "full", counts.full)
    yield _counter("unauthorized_requests", "Requests without a token that is in force.", counts.unauthorized)
    yield _counter("disk_errors", "Batches that could not be made durable.", counts.disk_errors)
    yield _counter("bugs", "Requests that ran into a bug of the collector.", counts.bugs)
    yield _gauge("connections", "Open connections.", connections)
    yield _answer_times(counts)


def _answer_times(counts: Counts) -> Metric:
    seen, buckets = 0, []
    for end, count in zip([*map(str, SECONDS), "+Inf"], counts.answer_times, strict=True):
        seen += count
        buckets.append((end, float(seen)))
    words = "From a request's last byte to its answer."
    return HistogramMetricFamily(PREFIX + "answer_seconds", words, buckets=buckets, sum_value=counts.answer_seconds)


def _of_state(intake: Intake) -> Iterator[Metric]:
    state = intake.state
    yield _counter("batches", "Batches counted, each once, across restarts.", state.batches)
    yield _counter("records", "Records counted, each once, across restarts.", state.records)
    yield _counter("late_records", "Records of minutes that were over.", state.windows.late)
    yield _counter("refused_values", "Values that no metric can hold.", state.windows.refused_values())
    yield _counter("forgotten_environments", "Environments forgotten for lack of room.", state.ids.forgotten)
    yield _counter("dropped_findings", "Findings of sites beyond the limit.", state.findings.dropped)
    yield _gauge("environments", "Environments whose batches are remembered.", len(state.ids))
    yield _gauge("windows", "Open windows: minute and series.", len(state.windows))
    yield _gauge("finding_sites", "Places that findings come from.", len(state.findings))


def _of_disk(intake: Intake, publisher: Publisher) -> Iterator[Metric]:
    journal = intake.journal
    if journal is not None:
        yield _counter("journal_bytes", "Bytes made durable.", journal.bytes_written)
        yield _counter("journal_syncs", "Groups made durable, each by one sync.", journal.groups)
        yield _gauge("journal_waiting_bytes", "Bytes that wait for the disk.", journal.waiting_bytes)
    yield _by("outbox_entries", "Entries put into the outbox, by kind.", "kind", publisher.published)
    yield _gauge("publisher_waiting_bytes", "Bytes of batches that wait to be published.", publisher.waiting_bytes)
    yield _counter("outbox_unreadable", "Outbox entries that turned out to be damaged.", publisher.outbox.unreadable)
    yield _gauge("outbox_bytes", "What the outbox takes on disk.", publisher.outbox.size_bytes())
    yield _gauge("outbox_last_seq", "Number of the last outbox entry.", publisher.outbox.last_seq)


def _of_sinks(runners: list[SinkRunner], last_seq: int) -> Iterator[Metric]:
    statuses = [runner.status() for runner in runners]
    gauges: dict[str, tuple[str, Callable[[SinkStatus], float]]] = {
        "sink_lag_entries": ("Entries that a sink has not sent yet.", lambda one: last_seq - one.acknowledged_seq),
        "sink_breaker": ("0 closed, 1 probing, 2 open.", lambda one: one.breaker),
        "sink_waiting_seconds": ("Time until a sink's next try.", lambda one: one.waiting_s),
    }
    for name, (words, value) in gauges.items():
        gauge = GaugeMetricFamily(PREFIX + name, words, labels=["sink"])
        for status in statuses:
            gauge.add_metric([status.name], value(status))
        yield gauge
    for name, label in (("counters", "what"), ("failures", "reason"), ("refused", "reason"), ("others", "what")):
        family = CounterMetricFamily(f"{PREFIX}sink_{name}", f"A sink's {name}.", labels=["sink", label])
        for status in statuses:
            for key, count in getattr(status, name).items():
                family.add_metric([status.name, key], count)
        yield family
