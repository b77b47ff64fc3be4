"""The collector's throughput by batch size and by number of series. In: its processes. Out: a Section."""

from collections.abc import Callable

from bench.collect_rounds import BATCH, HOW, SERIES, VOLATILE, fresh, records
from bench.collect_servers import collector
from bench.effort import Effort
from bench.measures.collector import stopped
from bench.section import Section, Table

TITLE = "the collector by batch size and series"
BATCHES = (1, 10, 50, 200, 1_000)
MANY_SERIES = (10, 100, 1_000, 10_000, 100_000)
SECONDS = 3.0
METHOD = f"""{HOW}
Rows. Each point has a server of its own. *To publish* is the CPU time of
a stop in order: all minutes closed, turned into EMF and handed to a file sink."""


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Vary the batch, then the series."""
    seconds = SECONDS / 4 if effort.quick else SECONDS
    head = ["batch", "durable", "volatile", "durable, µs of CPU per batch", "durable, p99 ms"]
    by_batch = Table(head, [], f"Records/s per core by batch size, {SERIES:,} series.")
    for batch in BATCHES:
        by_batch.rows.append(_by_batch(batch, seconds))
        show(by_batch)
    head = ["series", "durable", "resident MB after", "CPU s to publish", "EMF MB"]
    by_series = Table(head, [], f"Records/s per core by number of series, batches of {BATCH}.")
    for series in MANY_SERIES[: 4 if effort.quick else 5]:
        by_series.rows.append(_by_series(series, max(seconds, series / 6_000)))  # long enough to meet each of them
        show(by_series)
    return Section(METHOD, [], [by_batch, by_series], [])


def _by_batch(batch: int, seconds: float) -> list[str]:
    durable, volatile = fresh(seconds, batch=batch), fresh(seconds, *VOLATILE, batch=batch)
    cost = f"{1e6 * batch / durable.per_core:,.0f}"
    return [
        f"{batch:,}",
        f"{durable.per_core:,.0f}",
        f"{volatile.per_core:,.0f}",
        cost,
        f"{durable.found['p99_ms']:.1f}",
    ]


def _by_series(series: int, seconds: float) -> list[str]:
    with collector("--max-windows", "1000000", "--drain-s", "30") as server:
        found = records(server, seconds, series=series)
        rss_mb = server.rss_mb()
        used_s = stopped(server)
        size = sum(path.stat().st_size for path in server.data.glob("out*"))
        return [f"{series:,}", f"{found.per_core:,.0f}", f"{rss_mb:,.0f}", f"{used_s:.2f}", f"{size / 1e6:.1f}"]
