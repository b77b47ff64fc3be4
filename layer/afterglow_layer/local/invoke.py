"""One invocation, as a caller sees it. In: an event. Out: the answer, and what it means.

RIE says 200 to nearly everything: what the answer was is read from its body. The cases are RIE's own, seen
with aws-lambda-rie of aws-sam-cli 1.170.0.
"""

import http.client
import json
import re
import time
from typing import Any, NamedTuple

INVOKE_PATH = "/2015-03-31/functions/function/invocations"

_TIMED_OUT = re.compile(rb"Task timed out after [0-9.]+ seconds")  # all of RIE's answer


class Answer(NamedTuple):
    """What came back over the wire."""

    http_status: int | None  # None: the connection broke, or nothing came in time
    body: bytes
    took_ms: float


class Verdict(NamedTuple):
    """What an answer means. ``outcome`` is one of Call.outcome's words."""

    outcome: str
    error_type: str | None


TIMED_OUT = Verdict("timeout", "Sandbox.Timedout")


def invoke(port: int, event: bytes, limit_s: float) -> Answer:
    """Send one event to RIE on this machine and wait for its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=limit_s)
    begin = time.monotonic()
    status, body = None, b""
    try:
        connection.request("POST", INVOKE_PATH, event, {"Content-Type": "application/json", "Connection": "close"})
        response = connection.getresponse()
        status, body = response.status, response.read()
    except (OSError, http.client.HTTPException):
        status = None  # RIE has gone, or is silent: said by what it has printed, if by anything.
    finally:
        connection.close()
    return Answer(status, body, (time.monotonic() - begin) * 1000)


def judge(answer: Answer, request_id: str | None) -> Verdict:
    """Return what the answer means; ``request_id`` tells the client's errors from a handler's look-alike."""
    if answer.http_status is None:
        return Verdict("no-answer", None)
    if _TIMED_OUT.fullmatch(answer.body):
        return TIMED_OUT
    error = _error_in(answer.body)
    error_type = error.get("errorType") or None
    if answer.http_status != http.client.OK:
        crashed = error_type in (None, "Runtime.ExitError") or error_type.startswith("Extension.")
        return Verdict("crash" if crashed else "error", error_type or f"HTTP {answer.http_status}")
    if error_type == TIMED_OUT.error_type and _speaks_of(error, request_id):
        return TIMED_OUT
    if error_type and (request_id is None or error.get("requestId") == request_id):
        return Verdict("error", error_type)
    return Verdict("ok", None)


def _speaks_of(error: dict[str, Any], request_id: str | None) -> bool:
    """Return whether the platform's own error is about this invocation; it names it in its sentence."""
    return request_id is None or str(error["errorMessage"]).startswith(f"RequestId: {request_id} ")


def _error_in(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) and "errorMessage" in document else {}
