"""The answers that both APIs give, byte for byte as RIE gives them.

In: values. Out: Reply. Source: RIE source, rapi/rendering; checked against RIE 1.170 by the tests that run on
both.
"""

import json
from typing import Any

from afterglow_layer.emulator.states import Refused
from afterglow_layer.emulator.wire import Reply

JSON = {"Content-Type": "application/json"}


def json_reply(status: int, document: object, headers: dict[str, str] | None = None) -> Reply:
    """Return a JSON answer, compact and ended by a newline as Go's encoder writes it."""
    body = json.dumps(document, separators=(",", ":")) + "\n"
    return Reply(status, body.encode(), {**JSON, **(headers or {})})


def accepted() -> Reply:
    """202 and {"status": "OK"}: what posts are answered with."""
    return json_reply(202, {"status": "OK"})


def refusal(refused: Refused) -> Reply:
    """Return the answer to a call that the protocol forbids."""
    return json_reply(refused.status, {"errorMessage": refused.message, "errorType": refused.error_type})


def invoke_event(request_id: str, deadline_epoch_ms: int, function_arn: str, trace: str | None) -> Reply:
    """Return INVOKE as extensions get it; ``tracing`` only when the caller sent the header (seen on RIE)."""
    document: dict[str, Any] = {
        "eventType": "INVOKE",
        "deadlineMs": deadline_epoch_ms,
        "requestId": request_id,
        "invokedFunctionArn": function_arn,
    }
    if trace is not None:
        document["tracing"] = {"type": "X-Amzn-Trace-Id", "value": trace}
    return Reply(200, json.dumps(document, separators=(",", ":")).encode(), dict(JSON))


def shutdown_event(deadline_epoch_ms: int, reason: str) -> Reply:
    """Return SHUTDOWN as an extension gets it: text/plain, since RIE sets no type (seen on RIE)."""
    document = {"eventType": "SHUTDOWN", "deadlineMs": deadline_epoch_ms, "shutdownReason": reason}
    body = json.dumps(document, separators=(",", ":")).encode()
    return Reply(200, body, {"Content-Type": "text/plain; charset=utf-8"})


def invocation(
    request_id: str, event: bytes, deadline_epoch_ms: int, function_arn: str, extra: dict[str, str | None]
) -> Reply:
    """Return an invocation as the runtime gets it (Lambda docs, Runtime API, next invocation)."""
    headers = {
        **JSON,
        "Lambda-Runtime-Aws-Request-Id": request_id,
        "Lambda-Runtime-Deadline-Ms": str(deadline_epoch_ms),
        "Lambda-Runtime-Invoked-Function-Arn": function_arn,
        **{key: value for key, value in extra.items() if value},  # Headers are left out when empty (RIE source).
    }
    return Reply(200, event, headers)
