"""Reports to Elastic APM; its transport sends from a thread."""

import os

import elasticapm

apm = elasticapm.Client(
    service_name="shop",
    server_url=os.environ["SINK"],
    metrics_interval="0s",
    central_config="false",
    cloud_provider="none",
)


def handler(event, context):
    apm.begin_transaction("order")
    elasticapm.set_transaction_name(event["order"])
    apm.end_transaction(event["order"], "success")
    return {"ok": True}
