"""Who takes part in an execution environment, what passes between them, and how it breaks.

In: nothing. Out: the records that ``sandbox`` holds and its lock guards.
"""

import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from afterglow_layer.emulator.figures import Span
from afterglow_layer.emulator.processes import Process
from afterglow_layer.emulator.states import ExtensionState, RuntimeState
from afterglow_layer.emulator.wire import Reply


class Fault(NamedTuple):
    """What broke the environment: its error type (RIE source, fatalerror.go), and the body for the caller."""

    error_type: str
    message: str
    body: bytes | None = None  # what the runtime itself posted, if it did


class Faulted(Exception):  # noqa: N818 - a turn of events that the lifecycle handles
    """The environment broke while the lifecycle waited for something."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.error_type}: {fault.message}")
        self.fault = fault


class OutOfTime(Exception):  # noqa: N818 - the same
    """The deadline of a phase has passed."""


RELEASED = {RuntimeState.READY: RuntimeState.RUNNING, RuntimeState.RESTORE_READY: RuntimeState.RESTORING}
"""What the runtime's state becomes when what it asked for is there."""


@dataclass
class Party:
    """One that asks for its next event: what waits for it, and whether it is still part of the sandbox."""

    process: Process | None = None
    mail: deque[Reply] = field(default_factory=deque)
    gone: bool = False


@dataclass
class Runtime(Party):
    """The runtime's process."""

    state: RuntimeState = RuntimeState.STARTED


@dataclass
class Extension(Party):
    """An extension; ``internal`` ones live in the runtime's process and register under a name of their own."""

    name: str = ""
    internal: bool = False
    state: ExtensionState = ExtensionState.STARTED
    events: tuple[str, ...] = ()
    identifier: str = field(default_factory=lambda: str(uuid.uuid4()))
    error_type: str | None = None


@dataclass
class Exchange:
    """An invocation as the environment sees it; the API's threads fill in the response. Monotonic clocks."""

    request_id: str
    reply: Reply  # what the runtime gets from /next
    notice: Reply  # what extensions get: INVOKE
    began_mono_ns: int
    deadline_mono_s: float
    released_mono_ns: int = 0  # handed out
    response: bytes | None = None
    error_type: str | None = None  # the runtime posted an error
    refused: str | None = None  # the response was too large: Function.ResponseSizeTooLarge
    refused_bytes: int = 0  # how large
    arrived_mono_ns: int = 0  # the first byte of the response
    read_mono_ns: int = 0  # its last
    runtime_done: bool = False  # platform.runtimeDone was emitted
    overhead: Span | None = None  # extensions after the runtime was done
    ended_mono_ns: int = 0
