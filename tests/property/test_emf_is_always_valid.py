"""Whatever was added up, and however it is to be published: every document is valid, and nothing is lost."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator
from tests.property.strategies import START_MS, emitters, traffic, wide_windows

from afterglow.aggregate import Aggregate
from afterglow.emf import Emitter, encode
from afterglow.emf_limits import EVENT_BYTES_TARGET, MAX_METRICS
from afterglow.metrics import METRICS
from afterglow.records import Environment, Record
from afterglow.window import Window
from afterglow_collector.emf_check import check

Traffic = list[tuple[Environment, Record]]
AWS_SCHEMA = Draft202012Validator(
    json.loads((Path(__file__).parents[1] / "data" / "emf-schema.json").read_text(encoding="utf-8"))
)


def windows_of(traffic: Traffic) -> list[Window]:
    aggregate = Aggregate(frozenset(METRICS))
    for environment, record in traffic:
        aggregate.add(environment, record)
    return aggregate.take_all()


ONE_DOUBLE = 1e-15  # what a reader loses that has doubles for numbers: nothing below 10**15 thousandths

wide = wide_windows().map(lambda window: [window])


def figures_in(lines: list[str]) -> tuple[Counter[str], Counter[str]]:
    """Read the documents as CloudWatch would: each metric's number of values, and its sum in thousandths."""
    counts: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for document in map(json.loads, lines):
        (directive,) = document["_aws"]["CloudWatchMetrics"]
        for definition in directive["Metrics"]:
            name, value = definition["Name"], document[definition["Name"]]
            counts[name] += value["Count"] if isinstance(value, dict) else len(_listed(value))
            sums[name] += round(1000 * (value["Sum"] if isinstance(value, dict) else sum(_listed(value))))
    return counts, sums


def _listed(value: Any) -> list[float]:
    return value if isinstance(value, list) else [value]


@given(traffic.map(windows_of) | wide, emitters)
def test_every_document_passes_aws_schema_and_the_strict_check(windows: list[Window], emitter: Emitter) -> None:
    output = encode(windows, emitter, START_MS)

    for line in output.lines:
        assert [error.message for error in AWS_SCHEMA.iter_errors(json.loads(line))] == []
        assert check(line, now_ms=START_MS) == []


@given(traffic.map(windows_of) | wide, emitters)
def test_every_document_keeps_to_its_size(windows: list[Window], emitter: Emitter) -> None:
    for line in encode(windows, emitter, START_MS).lines:
        metrics = json.loads(line)["_aws"]["CloudWatchMetrics"][0]["Metrics"]

        assert len(line) <= emitter.event_bytes or len(metrics) == 1
        assert len(line) <= EVENT_BYTES_TARGET
        assert len(metrics) <= MAX_METRICS


@given(traffic.map(windows_of) | wide, emitters)
def test_documents_add_up_to_the_aggregate(windows: list[Window], emitter: Emitter) -> None:
    """To the last thousandth that a double holds; with plain arrays, distributions' sums within 5 %."""
    totals: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for window in windows:
        totals.update({name: total.sum_milli for name, total in window.totals.items() if total.known})
        sums.update({name: one.sum_milli for name, one in window.distributions.items() if one.bins})
        counts.update({name: one.count() for name, one in window.distributions.items() if one.bins})

    seen_counts, seen_sums = figures_in(encode(windows, emitter, START_MS).lines)

    assert counts == Counter({name: seen_counts[name] for name in counts})
    assert totals == pytest.approx({name: seen_sums[name] for name in totals}, rel=ONE_DOUBLE, abs=0)
    tolerance = 0.05 if emitter.values == "arrays" else ONE_DOUBLE
    assert sums == pytest.approx({name: seen_sums[name] for name in sums}, rel=tolerance, abs=0)


@given(traffic.map(windows_of) | wide, emitters)
def test_encoding_leaves_the_windows_as_they_were(windows: list[Window], emitter: Emitter) -> None:
    first = encode(windows, emitter, START_MS)

    assert first == encode(windows, emitter, START_MS)
