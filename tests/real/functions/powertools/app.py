"""Logs and counts with Powertools, which writes both to standard output."""

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger(service="shop")
metrics = Metrics(namespace="shop", service="shop")


@metrics.log_metrics(capture_cold_start_metric=True)
@logger.inject_lambda_context
def handler(event, context):
    logger.info("placed", extra={"order": event["order"]})
    metrics.add_metric(name="placed", unit=MetricUnit.Count, value=1)
    return {"ok": True}
