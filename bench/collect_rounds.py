"""One load on one server, weighed. In: a Server, a load. Out: Rounds, and the words that budgets are judged with."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bench.collect_servers import Server, collector, load

BATCH, SERIES, CONNECTIONS = 50, 1_000, 32
VOLATILE = ("--durability", "none")
HOW = """\
`afterglow collect` on one core, a load generator on another, over 32 kept-alive connections; each series is an
environment of its own. *Per core* is records per second of the server's CPU time, all threads and the kernel's work
for them included; *on the clock* is records per second as the neighbours on this machine let it. *Durable* answers when
the batch is synced to disk; *volatile* is `--durability none`."""


class Round(NamedTuple):
    """One run of one load."""

    per_core: float
    on_the_clock: float
    found: dict[str, Any]


def measured(server: Server, work: Callable[[], dict[str, Any]]) -> Round:
    """Run a load, and weigh the server while it does."""
    before_s = server.cpu_s()
    found = work()
    return Round(found["records"] / (server.cpu_s() - before_s), found["records"] / found["seconds"], found)


def records(server: Server, seconds: float, **words: Any) -> Round:
    """Load our server: batches of BATCH over SERIES, unless ``words`` say otherwise."""
    asked = {"connections": CONNECTIONS, "batch": BATCH, "series": SERIES, "seconds": seconds, **words}
    return measured(server, lambda: load(port=server.port, **asked))


def fresh(seconds: float, *options: str, **words: Any) -> Round:
    """Load a server of its own, after half a second of the same by other environments."""
    with collector(*options) as server:
        records(server, 0.5, **{**words, "seed": 99, "rate": 0.0})
        return records(server, seconds, **words)


def median(rounds: Sequence[Round]) -> float:
    """Return the records per second and core; 0 when there was no round."""
    return statistics.median([one.per_core for one in rounds]) if rounds else 0.0


def at_least(what: str, budget: float, found: float) -> str:
    """Return the verdict on a budget that is a lower bound."""
    verdict = "**met**" if found >= budget else f"**missed**, {found / budget:.0%} of it"
    return f"{what}: budget ≥ {budget:,.0f}, measured {found:,.0f}: {verdict}."
