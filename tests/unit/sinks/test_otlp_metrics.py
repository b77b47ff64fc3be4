"""EMF read back into numbers, and written as OpenTelemetry metrics: nothing is gained or lost on the way."""

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.sinks.samples import emf_lines

from afterglow.distribution import HIGHEST_BIN, ZERO_BIN, Distribution, bin_of, lower_edge_milli, middle_of
from afterglow.emf import Emitter
from afterglow_collector.sinks.emf_points import Bins, points_of
from afterglow_collector.sinks.otlp_metrics import buckets_of, name_of, request_of

values = st.lists(st.integers(0, 10**9), min_size=1, max_size=50)


def occupied(number: int) -> bool:
    """Return whether there is a whole number of thousandths in the bin."""
    return lower_edge_milli(number) < lower_edge_milli(number + 1)


def test_what_stands_for_a_bin_leads_back_to_it() -> None:
    numbers = [ZERO_BIN, *filter(occupied, range(ZERO_BIN + 1, HIGHEST_BIN))]

    assert numbers == [bin_of(round(middle_of(number) * 1000)) for number in numbers]


@given(values)
def test_a_value_is_in_the_bucket_of_its_bin(milli: list[int]) -> None:
    distribution = Distribution()
    for value in milli:
        distribution.add(value / 1000)
    bounds, counts = buckets_of(Bins(distribution.bins, 0.0, 0.0, 0.0))
    expected = [0] * (len(bounds) + 1)
    for value in milli:
        expected[bisect_left(bounds, value / 1000)] += 1  # OpenTelemetry: (lower, upper]

    assert expected == counts
    assert bounds == sorted(set(bounds))


@pytest.mark.parametrize("form", ["distribution", "arrays"])
def test_every_form_of_emf_gives_the_same_counts(form: str) -> None:
    durations = [7.0, 10.0, 10.0, 21.5, 3000.0]
    points = [p for line in emf_lines(*durations, emitter=Emitter(values=form)) for p in points_of(line)]
    (duration,) = (point.value for point in points if point.metric == "DurationMs")
    (invocations,) = (point.value for point in points if point.metric == "Invocations")

    assert isinstance(duration, Bins)
    assert {bin_of(round(ms * 1000)): durations.count(ms) for ms in durations} == duration.counts
    assert (7.0, 3000.0) == (duration.min, duration.max)
    assert 5 == invocations


def test_several_dimension_sets_are_no_several_points() -> None:
    emitter = Emitter(dimension_sets=(("FunctionName",), ("FunctionName", "Architecture"), ()))
    points = [point for line in emf_lines(5.0, emitter=emitter) for point in points_of(line)]

    assert 1 == sum(point.metric == "Invocations" for point in points)
    assert {"FunctionName": "checkout", "Architecture": "arm64"} == points[0].dimensions


@pytest.mark.parametrize("payload", ["", "{", "[]", "{}", '{"_aws": 1}', '{"_aws": {"Timestamp": 1}}', "null"])
def test_what_is_no_emf_is_refused(payload: str) -> None:
    with pytest.raises(ValueError, match=r"EMF|Expecting|column"):
        points_of(payload)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("DurationMs", "afterglow.duration"),
        ("MemoryUsedMB", "afterglow.memory_used"),
        ("ColdStarts", "afterglow.cold_starts"),
        ("MemoryUtilization", "afterglow.memory_utilization"),
    ],
)
def test_the_unit_leaves_the_name(metric: str, name: str) -> None:
    assert name == name_of(metric)


def test_a_function_is_a_resource_with_its_metrics() -> None:
    lines = [*emf_lines(5.0, 7.0), *emf_lines(1.0, function="other")]
    request = request_of(point for line in lines for point in points_of(line))
    names = [
        next(a.value.string_value for a in r.resource.attributes if a.key == "service.name")
        for r in request.resource_metrics
    ]
    (duration,) = (m for m in request.resource_metrics[0].scope_metrics[0].metrics if m.name == "afterglow.duration")
    (point,) = duration.histogram.data_points

    assert ["checkout", "other"] == names
    assert ("ms", 2, 12.0, 5.0, 7.0) == (duration.unit, point.count, point.sum, point.min, point.max)
    assert 60_000_000_000 == point.time_unix_nano - point.start_time_unix_nano
    assert sum(point.bucket_counts) == point.count
    assert len(point.explicit_bounds) + 1 == len(point.bucket_counts)
