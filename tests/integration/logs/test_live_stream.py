"""From a log group through a real subscription and a real Kinesis stream into the handler."""

import base64
from collections.abc import Callable
from typing import Any

from tests.integration.logs.conftest import Logs
from tests.unit.logs.test_handler import Kept, function_of
from tests.unit.sinks.samples import batch_of, finding, invocation


def test_what_a_subscription_puts_into_kinesis_is_understood(logs: Callable[[], Logs], maker: Any) -> None:
    one = logs()
    kinesis = maker("kinesis")()
    kinesis.create_stream(StreamName=one.function, ShardCount=1)
    arn = kinesis.describe_stream(StreamName=one.function)["StreamDescription"]["StreamARN"]
    role = "arn:aws:iam::123456789012:role/logs"
    one.client.put_subscription_filter(
        logGroupName=one.group, filterName="afterglow", filterPattern="", destinationArn=arn, roleArn=role
    )
    one.put(*batch_of(invocation(1), finding()).splitlines(), "something else")
    one.put(*batch_of(invocation(2)).splitlines())
    shard = kinesis.list_shards(StreamName=one.function)["Shards"][0]["ShardId"]
    start = kinesis.get_shard_iterator(StreamName=one.function, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    records = kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]
    event = {
        "Records": [
            {"kinesis": {"sequenceNumber": r["SequenceNumber"], "data": base64.b64encode(r["Data"]).decode()}}
            for r in records
        ]
    }
    sink = Kept()
    answer = function_of(sink).handle(event)

    assert {"batchItemFailures": []} == answer
    assert (2, 1) == (sink.total("Invocations"), sink.total("LingeringCount"))
