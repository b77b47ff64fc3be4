"""The environment's lifecycle as a table. In: an event. Out: the next state; no I/O, no clocks.

Events come from two sides: INVOKE and SHUTDOWN from Lambda, RETURNED from the hook (which may be absent).
A pair that is not in the table is a bug report, not a shrug: ``advance`` raises.
"""


class State:
    """Names of the states; plain strings, since ``enum`` costs the sandbox 4 ms and 0.5 MB."""

    STARTED = "started"  # registered; the runtime is booting, no invocation yet
    RUNNING = "running"  # between INVOKE and the handler's return
    GLOWING = "glowing"  # the handler has returned; frozen sooner or later
    DONE = "done"


class Event:
    """Names of the events."""

    INVOKE = "INVOKE"
    RETURNED = "RETURNED"
    SHUTDOWN = "SHUTDOWN"


NEXT: dict[tuple[str, str], str] = {
    (State.STARTED, Event.INVOKE): State.RUNNING,
    (State.STARTED, Event.RETURNED): State.GLOWING,  # the hook's fact overtook INVOKE
    (State.STARTED, Event.SHUTDOWN): State.DONE,
    (State.RUNNING, Event.INVOKE): State.RUNNING,  # no hook: nobody said that the handler returned
    (State.RUNNING, Event.RETURNED): State.GLOWING,
    (State.RUNNING, Event.SHUTDOWN): State.DONE,  # timeout or crash: the handler never returned
    (State.GLOWING, Event.INVOKE): State.RUNNING,
    (State.GLOWING, Event.RETURNED): State.GLOWING,
    (State.GLOWING, Event.SHUTDOWN): State.DONE,
}


def advance(state: str, event: str) -> str:
    """Return the state after ``event``; KeyError names a pair that the protocol does not know."""
    return NEXT[state, event]
