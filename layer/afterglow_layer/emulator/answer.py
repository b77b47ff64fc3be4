"""What a caller asks and gets: invocation and answer, and the bodies of the platform's own errors.

In: bytes. Out: records. The HTTP statuses are RIE's (seen on RIE): 200 for what the handler returned or
raised and for a timeout, 502 for a broken environment. Real Lambda answers 200 with X-Amz-Function-Error to
all of these.
"""

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from afterglow_layer.emulator.parties import Fault


class Answer(NamedTuple):
    """What the caller of an invocation gets."""

    status: int
    body: bytes
    request_id: str
    error_type: str | None  # the body's errorType for a handler that raised; RIE's for a broken environment
    took_ms: float  # asked → answered, on the monotonic clock

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body)


@dataclass
class Invocation:
    """One request for the function, from the ask to the end of the environment's work on it."""

    event: bytes
    trace: str | None = None
    client_context: str | None = None
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    asked_mono_ns: int = field(default_factory=time.monotonic_ns)
    answer: Answer | None = None
    answered: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)  # reported, and frozen where that is on

    def give(self, status: int, body: bytes, error_type: str | None = None) -> None:
        """Answer the caller; the first answer stands."""
        if self.answer is None:
            took_ms = (time.monotonic_ns() - self.asked_mono_ns) / 1e6
            self.answer = Answer(status, body, self.request_id, error_type, took_ms)
            self.answered.set()

    def wait(self, timeout_s: float | None = None) -> Answer:
        """Return the answer once it is there."""
        if not self.answered.wait(timeout_s) or self.answer is None:
            raise TimeoutError(f"invocation {self.request_id} was not answered within {timeout_s} s")
        return self.answer


def error_type_of(body: bytes, otherwise: str) -> str:
    """Return the errorType that the runtime wrote into its error."""
    try:
        document = json.loads(body)
    except ValueError:
        return otherwise
    named = document.get("errorType") if isinstance(document, dict) else None
    return named if isinstance(named, str) else otherwise


def timeout_body(request_id: str, timeout_ms: int) -> bytes:
    """Return Lambda's answer to a timeout; RIE's is the bare sentence in it."""
    sentence = f"Task timed out after {timeout_ms / 1000:.2f} seconds"
    return _error("Sandbox.Timedout", f"RequestId: {request_id} Error: {sentence}")


def fault_body(request_id: str, fault: Fault) -> bytes:
    """Return a broken environment's body: the runtime's own, or none for an extension's fault (seen on RIE)."""
    if fault.body is not None:
        return fault.body
    if fault.error_type.startswith("Extension."):
        return b""
    return _error(fault.error_type, f"RequestId: {request_id} Error: {fault.message}")


def too_large_body(limit_bytes: int) -> bytes:
    """Return the answer to a response beyond 6 MiB (RIE source, interop/model.go, ErrorResponseTooLarge)."""
    message = f"Response payload size exceeded maximum allowed payload size ({limit_bytes} bytes)."
    return _error("Function.ResponseSizeTooLarge", message)


def _error(error_type: str, message: str) -> bytes:
    return json.dumps({"errorType": error_type, "errorMessage": message}).encode()
