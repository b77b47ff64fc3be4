"""Who may call what, and when: the two state tables of the Runtime API and the Extensions API.

In: a party's state and its call. Out: the next state, or Refused with the answer that RIE gives (RIE source,
core/states.go, core/externalagent_states.go and rapi/handler/*.go, which is Lambda's own rapid).
A missing key is a refusal: the protocol has no other moves.
"""

from enum import Enum


class ExtensionState(str, Enum):
    """Values are the names that RIE puts into its error messages."""

    STARTED = "Started"
    REGISTERED = "Registered"
    READY = "Ready"
    RUNNING = "Running"
    INIT_ERROR = "InitError"
    EXIT_ERROR = "ExitError"


class ExtensionCall(str, Enum):
    """Values are the names of the states that the calls ask for."""

    REGISTER = "Registered"
    NEXT = "Ready"
    INIT_ERROR = "InitError"
    EXIT_ERROR = "ExitError"


class RuntimeState(str, Enum):
    """Values are the names that RIE puts into its error messages."""

    STARTED = "Started"
    INIT_ERROR = "InitError"
    READY = "Ready"
    RUNNING = "Running"
    RESTORE_READY = "RestoreReady"
    RESTORING = "Restoring"
    RESTORE_ERROR = "RuntimeRestoreErrorState"
    RESPONSE_SENT = "RuntimeResponseSentState"


class RuntimeCall(str, Enum):
    """Values are the names of the states that the calls ask for."""

    NEXT = "Ready"
    RESTORE_NEXT = "RestoreReady"
    RESPONSE = "InvocationResponse"
    ERROR = "InvocationErrorResponse"
    INIT_ERROR = "InitError"
    RESTORE_ERROR = "RuntimeRestoreErrorState"


EXTENSION_NEXT: dict[tuple[ExtensionState, ExtensionCall], ExtensionState] = {
    (ExtensionState.STARTED, ExtensionCall.REGISTER): ExtensionState.REGISTERED,
    (ExtensionState.REGISTERED, ExtensionCall.NEXT): ExtensionState.READY,
    (ExtensionState.RUNNING, ExtensionCall.NEXT): ExtensionState.READY,
    (ExtensionState.REGISTERED, ExtensionCall.INIT_ERROR): ExtensionState.INIT_ERROR,
    (
        ExtensionState.INIT_ERROR,
        ExtensionCall.INIT_ERROR,
    ): ExtensionState.INIT_ERROR,  # Only the first counts.
    (ExtensionState.REGISTERED, ExtensionCall.EXIT_ERROR): ExtensionState.EXIT_ERROR,
    (ExtensionState.READY, ExtensionCall.EXIT_ERROR): ExtensionState.EXIT_ERROR,
    (ExtensionState.RUNNING, ExtensionCall.EXIT_ERROR): ExtensionState.EXIT_ERROR,
    (ExtensionState.EXIT_ERROR, ExtensionCall.EXIT_ERROR): ExtensionState.EXIT_ERROR,
}

RUNTIME_NEXT: dict[tuple[RuntimeState, RuntimeCall], RuntimeState] = {
    (RuntimeState.STARTED, RuntimeCall.NEXT): RuntimeState.READY,
    (RuntimeState.STARTED, RuntimeCall.RESTORE_NEXT): RuntimeState.RESTORE_READY,
    (RuntimeState.STARTED, RuntimeCall.INIT_ERROR): RuntimeState.INIT_ERROR,
    (RuntimeState.RESTORING, RuntimeCall.NEXT): RuntimeState.READY,
    (RuntimeState.RESTORING, RuntimeCall.RESTORE_ERROR): RuntimeState.RESTORE_ERROR,
    (
        RuntimeState.RESTORING,
        RuntimeCall.INIT_ERROR,
    ): RuntimeState.RESTORE_ERROR,  # Older runtimes use this one.
    (RuntimeState.READY, RuntimeCall.NEXT): RuntimeState.READY,
    (RuntimeState.RUNNING, RuntimeCall.NEXT): RuntimeState.RUNNING,  # Gets the same invocation again.
    (RuntimeState.RUNNING, RuntimeCall.RESPONSE): RuntimeState.RESPONSE_SENT,
    (RuntimeState.RUNNING, RuntimeCall.ERROR): RuntimeState.RESPONSE_SENT,
    (RuntimeState.RESPONSE_SENT, RuntimeCall.NEXT): RuntimeState.READY,
}

NOT_ALLOWED = "State transition is not allowed"


class Refused(Exception):  # noqa: N818 - it is an answer, not a failure
    """A call that the protocol forbids: the HTTP status and the error that the caller gets."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(f"{status} {error_type}: {message}")
        self.status = status
        self.error_type = error_type
        self.message = message


def next_extension_state(state: ExtensionState, call: ExtensionCall, who: str) -> ExtensionState:
    """Return the state after ``call``; Refused as RIE words it, ``who`` being the name or the identifier."""
    after = EXTENSION_NEXT.get((state, call))
    if after is None:
        move = f"State transition from {state.value} to {call.value} failed for extension {who}"
        message = f"{move}. Error: {NOT_ALLOWED}"
        raise Refused(403, "Extension.InvalidExtensionState", message)
    return after


def next_runtime_state(state: RuntimeState, call: RuntimeCall) -> RuntimeState:
    """Return the state after ``call``; Refused as RIE words it."""
    after = RUNTIME_NEXT.get((state, call))
    if after is None:
        message = f"State transition from {state.value} to {call.value} failed for runtime. Error: {NOT_ALLOWED}"
        raise Refused(403, "InvalidStateTransition", message)
    return after
