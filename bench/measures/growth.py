"""The collector's memory over ten million records. In: one process. Out: a Section."""

from collections.abc import Callable

from bench.collect_rounds import HOW, SERIES, records
from bench.collect_servers import collector
from bench.effort import Effort
from bench.section import Budget, Section, Table
from bench.stats import Interval

TITLE = "the collector's memory over ten million records"
RECORDS = 10_000_000
STEP_S = 5.0
BUDGET_MB = 200.0
METHOD = f"""{HOW}
Rows, durable, batches of 50 over {SERIES:,} series; the resident memory is
read between loads of {STEP_S:g} s. Each load comes from {SERIES:,} environments that have not been heard of before."""


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Send ten million records, and look at the memory on the way."""
    wanted = RECORDS // 10 if effort.quick else RECORDS
    sent, most = 0, 0.0
    with collector() as server:
        table = Table(["records", "environments", "resident MB"], [["0", "0", f"{server.rss_mb():.0f}"]])
        seed = 0
        while sent < wanted:
            seed += 1
            sent += records(server, STEP_S, seed=seed).found["records"]
            most = max(most, server.rss_mb())
            table.rows.append([f"{sent:,}", f"{seed * SERIES:,}", f"{server.rss_mb():.0f}"])
            show(table)
    budget = Budget(
        f"resident, most of {sent:,} records over {SERIES:,} series", BUDGET_MB, "MB", Interval(most, most, most)
    )
    return Section(METHOD, [budget], [table], [])
