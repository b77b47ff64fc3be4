"""Writes adot-emf.json: what the EMF exporter of the AWS Distro for OpenTelemetry makes of the same values.

`make test` makes .venv/adot out of adot-requirements.txt; then, to record anew:

.venv/adot/bin/python tests/data/make_adot_emf.py > tests/data/adot-emf.json
"""

import json
import os
import random
import sys
from importlib.metadata import version
from typing import Any

SEED = 20_261_121


def cases() -> dict[str, list[float]]:
    """Return values as functions produce them, in thousandths, which is what an aggregate keeps."""
    chance = random.Random(SEED)
    return {
        "one value": [12.5],
        "a few": [7.0, 10.0, 10.0, 21.5, 400.0, 401.0, 3000.0],
        "with zeros": [0.0, 0.0, 5.0, 1.25],
        "all the same": [33.3] * 200,
        "durations": [round(chance.lognormvariate(3.5, 1.0), 3) for _ in range(1000)],
        "two humps": [round(chance.gauss(20, 2), 3) for _ in range(900)]
        + [round(chance.gauss(2500, 100), 3) for _ in range(100)],
    }


def document_of(values: list[float]) -> dict[str, Any]:
    """Return the one EMF document that the exporter writes for the values."""
    from amazon.opentelemetry.distro.exporter.aws.metrics.console_emf_exporter import ConsoleEmfExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource

    written: list[str] = []

    class Exporter(ConsoleEmfExporter):  # type: ignore[misc]  # its package is not installed where mypy runs
        def _export(self, log_event: dict[str, Any]) -> None:
            written.append(log_event["message"])

    reader = PeriodicExportingMetricReader(Exporter(namespace="Afterglow"), export_interval_millis=3_600_000)
    provider = MeterProvider([reader], resource=Resource({}))
    durations = provider.get_meter("afterglow").create_histogram("DurationMs", unit="Milliseconds")
    for value in values:
        durations.record(value, {"FunctionName": "checkout"})
    reader.force_flush()
    (document,) = map(json.loads, written)
    provider.shutdown()
    return {**document, "_aws": {**document["_aws"], "Timestamp": 0}}


def main() -> None:
    """Print the file."""
    os.environ["OTEL_METRICS_ADD_APPLICATION_SIGNALS_DIMENSIONS"] = "false"
    made = {name: {"values": values, "document": document_of(values)} for name, values in cases().items()}
    json.dump(
        {"exporter": f"aws-opentelemetry-distro {version('aws-opentelemetry-distro')}", "cases": made}, sys.stdout
    )
    print()


if __name__ == "__main__":
    main()
