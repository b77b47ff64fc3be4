"""Writes points as OpenTelemetry metrics. In: points. Out: one ExportMetricsServiceRequest.

Counts become delta sums, distributions delta histograms, both of the point's own minute: additive, as our
windows are, so a late minute is one more delta. A histogram's bounds are the SEH1 bins' own edges. OpenTelemetry's
buckets hold their upper bound, ours their lower one; as a value is a whole number of thousandths, the bound
that lies one thousandth below the next bin's edge gives the same buckets, exactly.
"""

import re
from collections.abc import Iterable

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric, ResourceMetrics, ScopeMetrics

from afterglow.distribution import ZERO_BIN, lower_edge_milli
from afterglow.metrics import METRICS
from afterglow.version import __version__
from afterglow.window import MINUTE_MS
from afterglow_collector.sinks.emf_points import Bins, Point
from afterglow_collector.sinks.otlp_common import NS_PER_MS, attributes_of, resource_of

UNITS = {"Milliseconds": "ms", "Count": "1", "Bytes": "By", "Megabytes": "MiBy", "Percent": "%"}
"""CloudWatch's units in UCUM's; our megabytes are Lambda's, of 2^20 bytes."""

SUFFIX = re.compile(r"_(ms|mb)$")
WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")

ATTRIBUTES = {
    "FunctionName": "faas.name",
    "FunctionVersion": "faas.version",
    "InitType": "afterglow.init_type",
    "MemorySize": "afterglow.memory_mb",
    "Architecture": "host.arch",
}
"""Dimensions by the names of OpenTelemetry's semantic conventions, where there is one."""

RESOURCE = frozenset(("faas.name", "faas.version"))
DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA


def name_of(metric: str) -> str:
    """Return ``afterglow.duration`` for DurationMs: the unit has a field of its own."""
    return "afterglow." + SUFFIX.sub("", WORD.sub("_", metric).lower())


def request_of(points: Iterable[Point]) -> ExportMetricsServiceRequest:
    """Return the points, by function, metric by metric."""
    request = ExportMetricsServiceRequest()
    scopes: dict[tuple[tuple[str, str], ...], ScopeMetrics] = {}
    metrics: dict[tuple[int, str], Metric] = {}
    for point in points:
        attributes = {ATTRIBUTES.get(name, name): value for name, value in point.dimensions.items()}
        resource = tuple((name, value) for name, value in attributes.items() if name in RESOURCE)
        if resource not in scopes:
            scopes[resource] = _add_scope(request.resource_metrics.add(), dict(resource))
        scope = scopes[resource]
        key = id(scope), point.metric
        if key not in metrics:
            metrics[key] = _add_metric(scope, point)
        _add_point(metrics[key], point, {n: v for n, v in attributes.items() if n not in RESOURCE})
    return request


def count_of(request: ExportMetricsServiceRequest) -> int:
    """Return how many data points the request holds."""
    return sum(
        len(metric.histogram.data_points) + len(metric.sum.data_points)
        for of_resource in request.resource_metrics
        for scope in of_resource.scope_metrics
        for metric in scope.metrics
    )


def _add_scope(of_resource: ResourceMetrics, attributes: dict[str, str]) -> ScopeMetrics:
    of_resource.resource.CopyFrom(resource_of(attributes))
    scope = of_resource.scope_metrics.add()
    scope.scope.name, scope.scope.version = "afterglow", __version__
    return scope


def _add_metric(scope: ScopeMetrics, point: Point) -> Metric:
    metric = scope.metrics.add(name=name_of(point.metric), unit=UNITS.get(point.unit, ""))
    if point.metric in METRICS:
        metric.description = METRICS[point.metric].meaning
    if isinstance(point.value, Bins):
        metric.histogram.aggregation_temporality = DELTA
    else:
        metric.sum.aggregation_temporality = DELTA
        metric.sum.is_monotonic = True
    return metric


def _add_point(metric: Metric, point: Point, attributes: dict[str, str]) -> None:
    start_ns = point.at_ms * NS_PER_MS
    end_ns = (point.at_ms + MINUTE_MS) * NS_PER_MS
    value = point.value
    if isinstance(value, Bins):
        added = metric.histogram.data_points.add(start_time_unix_nano=start_ns, time_unix_nano=end_ns)
        added.count, added.sum = sum(value.counts.values()), value.sum
        added.min, added.max = value.min, value.max
        bounds, counts = buckets_of(value)
        added.explicit_bounds.extend(bounds)
        added.bucket_counts.extend(counts)
        added.attributes.extend(attributes_of(attributes))
    else:
        number = metric.sum.data_points.add(start_time_unix_nano=start_ns, time_unix_nano=end_ns, as_double=value)
        number.attributes.extend(attributes_of(attributes))


def buckets_of(bins: Bins) -> tuple[list[float], list[int]]:
    """Return the upper bounds from below the lowest bin to the highest, and the counts between and beyond them."""
    lowest, highest = min(bins.counts), max(bins.counts)
    edges: dict[float, int] = {}  # an upper bound, and what lies at or below it and above the one before
    if lowest > ZERO_BIN:
        edges[(lower_edge_milli(lowest) - 1) / 1000] = 0
    for number in range(lowest, highest + 1):
        bound = (lower_edge_milli(number + 1) - 1) / 1000
        # Bins below 0.01 may share an edge, for no thousandth lies between: they are empty but for the last.
        edges[bound] = edges.get(bound, 0) + bins.counts.get(number, 0)
    return list(edges), [*edges.values(), 0]
