"""The answer of ``afterglow collect --from logs`` as a document. In: figures by function, prices. Out: JSON values.

docs/log-pipeline.md describes each field. What the terminal's tables show is what this document holds.
"""

from collections.abc import Mapping
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, NamedTuple

from afterglow.distribution import Distribution
from afterglow_collector.logs.statistics import Statistics
from afterglow_collector.prices.costs import Cost, Usage, gb_seconds, lambda_costs, per_month
from afterglow_collector.prices.table import ARCHITECTURES, Prices

SCHEMA = "afterglow-logs/1"
DEFAULT_ARCH = "x86_64"
CENTS = Decimal("0.000001")  # dollars are given to a millionth


class Setting(NamedTuple):
    """Whose figures these are, and what they are valued by."""

    groups: list[str]
    from_ms: int
    to_ms: int
    prices: Prices
    architectures: Mapping[str, str]  # by function, as Lambda says; empty where it may not be asked


def build_document(functions: Mapping[str, Statistics], setting: Setting) -> dict[str, Any]:
    """Return the document, the most expensive function first."""
    period_ms = setting.to_ms - setting.from_ms
    known = {name: _arch(setting.architectures.get(name) or figures.arch) for name, figures in functions.items()}
    usages = {
        name: Usage(known[name] or DEFAULT_ARCH, figures.counts["reports"], figures.counts["billed_mb_ms"])
        for name, figures in functions.items()
    }
    costs = lambda_costs(usages, setting.prices.aws_lambda, period_ms)
    ranked = sorted(functions, key=lambda name: (-costs[name].total, name))
    return {
        "schema": SCHEMA,
        "groups": setting.groups,
        "from": iso(setting.from_ms),
        "to": iso(setting.to_ms),
        "prices": {"as_of": setting.prices.as_of, "region": setting.prices.region, "free_tier": "not deducted"},
        "functions": [
            {
                "function": name,
                "arch": known[name],
                **_figures(functions[name]),
                "cost": _cost(costs[name], usages[name], period_ms),
            }
            for name in ranked
        ],
        "total_cost": _money(sum((cost.total for cost in costs.values()), Decimal(0))),
    }


def _arch(name: str | None) -> str | None:
    return name if name in ARCHITECTURES else None


def _figures(figures: Statistics) -> dict[str, Any]:
    counts, distributions = figures.counts, figures.distributions
    reports = counts["reports"]
    return {
        "invocations": reports,
        "errors": counts["errors"],
        "timeouts": counts["timeouts"],
        "cold_starts": counts["cold_starts"],
        "failed_inits": counts["failed_inits"],
        "cold_start_share": counts["cold_starts"] / reports if reports else None,
        "init_ms": summary(distributions["init_ms"]),
        "restore_ms": summary(distributions["restore_ms"]),
        "duration_ms": summary(distributions["duration_ms"]),
        "memory_mb": {"configured": sorted(figures.memory_mb), "used": summary(distributions["max_memory_mb"])},
        "layer": {
            "records": counts["records"],
            "lingering": counts["lingering"],
            "resumed": counts["resumed"],
            "lost": counts["lost"],
            "import_ms": summary(distributions["import_ms"]),
        },
        "unread": {"broken": counts["broken"], "enormous": counts["enormous"]},
        "repeated_reports": counts["repeated"],
    }


def summary(distribution: Distribution) -> dict[str, float] | None:
    """Return percentiles (within 5 %), mean and extremes (exact); None if there are no values."""
    count = distribution.count()
    if not count:
        return None
    return {
        **{name: round(distribution.percentile(fraction) or 0.0, 3) for name, fraction in PERCENTILES.items()},
        "mean": round(distribution.sum_milli / 1000 / count, 3),
        "min": distribution.min_milli / 1000,
        "max": distribution.max_milli / 1000,
    }


PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def _cost(cost: Cost, usage: Usage, period_ms: int) -> dict[str, Any]:
    return {
        "requests": _money(cost.requests),
        "duration": _money(cost.duration),
        "total": _money(cost.total),
        "per_month": _money(per_month(cost.total, period_ms)),
        "gb_seconds": float(round(gb_seconds(usage.billed_mb_ms), 6)),
        "assumed_arch": usage.arch,
    }


def _money(dollars: Decimal) -> float:
    return float(dollars.quantize(CENTS))


def iso(at_ms: int) -> str:
    """Return a point in time as ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(at_ms / 1000, timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
