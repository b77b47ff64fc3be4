"""How long the collector's answers take. In: its processes under fixed rates. Out: a Section."""

from collections.abc import Callable

from bench.collect_rounds import BATCH, HOW, fresh
from bench.effort import Effort
from bench.section import Budget, Section, Table
from bench.stats import Interval, summary

TITLE = "the time to the collector's answer"
SECONDS = 8.0
ROUNDS = 3
BUDGET_MS = 25.0
PROMISED = 400_000
METHOD = f"""{HOW}
Here the load comes at a fixed rate, whatever the answers do, and an answer's
time counts from when its batch was due. The shares are of what the server took on the clock in the same run when it was
given as much as it takes; 200,000 records/s is half of what it is to take. Rows, durable, batches of {BATCH}."""


def measure(effort: Effort, show: Callable[[Table], None]) -> Section:
    """Time the answers at shares of the capacity, and at half of the promised one."""
    seconds = SECONDS / 4 if effort.quick else SECONDS
    full = fresh(seconds / 2).on_the_clock
    rates = {
        "a tenth": full / 10,
        "a quarter": full / 4,
        "half": full / 2,
        "half of 400,000": PROMISED / 2,
        "three quarters": 3 * full / 4,
    }
    table = Table(
        ["load", "records/s asked", "came through", "p50 ms", "p99 ms", "p99.9 ms"],
        [],
        f"Capacity on the clock: {full:,.0f} records/s.",
    )
    budgets: list[Budget] = []
    for name, rate in rates.items():
        judged = name.startswith("half")
        rounds = [fresh(seconds, rate=rate / BATCH) for _ in range(1 if effort.quick or not judged else ROUNDS)]
        times = {key: [one.found[key] for one in rounds] for key in ("p50_ms", "p99_ms", "p99.9_ms")}
        through = summary([one.on_the_clock for one in rounds]).median
        table.rows.append(
            [name, f"{rate:,.0f}", f"{through:,.0f}", *(f"{summary(of).median:.2f}" for of in times.values())]
        )
        show(table)
        if judged:
            of = summary(times["p99_ms"])
            spread = f"{of.n} rounds, least … most"
            budgets.append(Budget(f"p99 at {name}", BUDGET_MS, "ms", Interval(of.median, of.least, of.most), spread))
    return Section(METHOD, budgets, [table], [])
