"""The service with AWS behind it: which AWS that is, is said as in the AWS CLI; what throttles is asked again."""

import uuid
from typing import Any

import pytest
from tests.integration.collect.conftest import Start
from tests.integration.sinks.conftest import KEYS, aws_url, close_the_recorders_socket, front, maker, moto_address
from tests.integration.sinks.stage import Front
from tests.unit.collect.samples import call, now_ms

from afterglow_collector.emf_check import check
from afterglow_collector.sinks.aws import client_maker

__all__ = ["aws_url", "close_the_recorders_socket", "front", "maker", "moto_address"]


def messages(client: Any, group: str) -> list[str]:
    return [event["message"] for event in client.filter_log_events(logGroupName=group)["events"]]


@pytest.mark.parametrize("way", ["flags", "variables"])
def test_what_comes_in_arrives_in_the_log_group_of_the_region_and_endpoint_that_were_named(
    collector: Start, aws_url: str, front: Front, way: str
) -> None:
    group = f"/afterglow/{uuid.uuid4().hex}"
    flags = ["--region", "eu-west-1", "--endpoint-url", aws_url] if way == "flags" else []
    variables = {"AFTERGLOW_COLLECT_REGION": "eu-west-1", "AFTERGLOW_COLLECT_ENDPOINT_URL": aws_url}
    front.fail("PutLogEvents", 400, "ThrottlingException")
    environ = {**KEYS, **({} if flags else variables)}
    server = collector("--sink", f"cloudwatch-logs:{group}?stream=here", *flags, environ=environ)
    assert 202 == server.client().send(1, call(now_ms())).status
    assert 0 == server.stop(), server.said()
    (line,) = messages(client_maker("logs", "eu-west-1", aws_url)(), group)

    assert [] == check(line)
    assert '"Invocations":1' in line
    assert "not all was sent" not in server.said()
    signed = {request.headers["Authorization"].split("/")[2] for request in front.requests[:-1]}
    assert {"eu-west-1"} == signed, "the region of the environment was used"
    assert front.actions().count("PutLogEvents") >= 2, "the throttled call was to be repeated"
