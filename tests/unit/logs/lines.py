"""Log lines as Lambda writes them, for the tests of the log pipeline."""

import base64
import gzip
import json
from typing import Any

from tests.unit.sinks.samples import NOW_MS

GROUP = "/aws/lambda/checkout"
STREAM = "2026/11/21/[7]0123456789abcdef0123456789abcdef"


def report_text(
    request_id: str = "8f507cfc-xmpl-4697-b07a-ac58fc914c95",
    duration_ms: float = 12.05,
    *,
    memory_mb: int = 128,
    used_mb: int = 40,
    init_ms: float | None = None,
    extra: str = "",
) -> str:
    """Return a REPORT line; Lambda bills Init since August 2025."""
    billed_ms = -int(-(duration_ms + (init_ms or 0)) // 1)
    init = "" if init_ms is None else f"Init Duration: {init_ms} ms\t"
    return (
        f"REPORT RequestId: {request_id}\tDuration: {duration_ms} ms\tBilled Duration: {billed_ms} ms\t"
        f"Memory Size: {memory_mb} MB\tMax Memory Used: {used_mb} MB\t{init}{extra}\n"
    )


def report_json(**record: Any) -> str:
    """Return a platform.report event as the JSON log format and the Telemetry API have it."""
    metrics = {
        "durationMs": 12.05,
        "billedDurationMs": 13,
        "memorySizeMB": 128,
        "maxMemoryUsedMB": 40,
        **record.pop("metrics", {}),
    }
    return json.dumps(
        {
            "time": "2026-11-21T08:00:00.000Z",
            "type": "platform.report",
            "record": {"requestId": "8f507cfc", "status": "success", "metrics": metrics, **record},
        }
    )


def delivery(*messages: str, group: str = GROUP, stream: str = STREAM, kind: str = "DATA_MESSAGE") -> bytes:
    """Return what a subscription delivers, gzipped."""
    events = [
        {"id": str(number), "timestamp": NOW_MS + number, "message": message} for number, message in enumerate(messages)
    ]
    document = {
        "messageType": kind,
        "owner": "123456789012",
        "logGroup": group,
        "logStream": stream,
        "subscriptionFilters": ["afterglow"],
        "logEvents": events,
    }
    return gzip.compress(json.dumps(document).encode())


def awslogs(data: bytes) -> dict[str, Any]:
    """Return the event of a direct subscription."""
    return {"awslogs": {"data": base64.b64encode(data).decode()}}


def kinesis(*data: bytes) -> dict[str, Any]:
    """Return the event of a Kinesis stream, with sequence numbers from 100."""
    return {
        "Records": [
            {
                "eventID": f"shardId-000:{number}",
                "kinesis": {"sequenceNumber": str(number), "data": base64.b64encode(one).decode()},
            }
            for number, one in enumerate(data, 100)
        ]
    }
